/** Numbers of topics that are there already: what can be had of them is made, what cannot is refused before it is saved. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openBroker } from '../../../lib/broker/broker.ts'
import { migrate } from '../../../lib/database/migrate.ts'
import { openPool, utcNow } from '../../../lib/database/pool.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { surroundings, verdicts } from '../../checks/testing.ts'
import { applyContext } from '../testing.ts'
import { type KafkaAnswers, kafkaAnswers, topicsOf } from './answers.ts'
import { applyKafka } from './apply.ts'
import { kafkaLadder } from './checks.ts'
import { topicNumbers } from './topic-numbers.ts'

const { kafka, mariadb } = await sharedSandbox(['kafka', 'mariadb'])
const apache =
  kafka.kind === 'apache' ? {} : { skip: 'librdkafka mock cluster: its topics have the numbers that it likes' }
const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
const schema = freshName('topics')
const admin = openPool(mariadb, 1)
await admin.query(`CREATE DATABASE ${schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
const database = openPool({ ...mariadb, database: schema }, 2)
await migrate(database, fileURLToPath(new URL('../../../migrations', import.meta.url)))
after(async () => {
  await broker.close()
  await database.end()
  await admin.query(`DROP DATABASE ${schema}`)
  await admin.end()
})

const answers = (topicPrefix: string, partitions: number, replication = 1): KafkaAnswers =>
  kafkaAnswers.parse({ security: 'PLAINTEXT', brokers: kafka.brokers, topicPrefix, partitions, replication })

/** Both topics, made by this install or by somebody before it. */
async function topicsThere(partitions: number, ours = true) {
  const topicPrefix = freshName('numbers')
  const names = topicsOf(topicPrefix)
  for (const topic of Object.values(names)) {
    await broker.createTopics([{ topic, partitions, replication: 1 }])
    await database.query(
      `INSERT INTO ledger (install_id, step, kind, name, state, detail, intended_at) VALUES (?, 'kafka', 'topic', ?, 'done', ?, ?)`,
      [surroundings.install, topic, JSON.stringify({ ours }), utcNow()]
    )
  }
  return { topicPrefix, ...names }
}

/** What the check of the topics says of these answers. */
async function toldOf(given: KafkaAnswers) {
  const around = { ...surroundings, services: { database } }
  const { findings } = await verdicts(kafkaLadder, given, around)
  return findings.find(({ id }) => id === 'kafka.topics') ?? assert.fail('nothing is said of the topics')
}

test('more partitions are a warning that names what becomes of the order, and then they are made', apache, async () => {
  const { topicPrefix, deviceTopic, probeTopic } = await topicsThere(2)
  const before = await toldOf(answers(topicPrefix, 5))
  assert.equal(before.verdict, 'warn')
  assert.match(before.say, new RegExp(`^Topic ${deviceTopic} has 2 partitions, and gets 5: events of a device go to`))
  assert.deepEqual([before.field, before.offer?.values], ['partitions', { partitions: '2' }])
  assert.deepEqual(await broker.describeTopic(deviceTopic), { partitions: 2, replication: 1 }, 'a check makes none')

  const phases: string[] = []
  await applyKafka(answers(topicPrefix, 5), {
    ...applyContext({ database }),
    report: (phase) => void phases.push(phase)
  })
  assert.deepEqual(
    phases.sort(),
    [deviceTopic, probeTopic].map((topic) => `Adding partitions to topic ${topic} (2 become 5)`).sort()
  )
  for (const topic of [deviceTopic, probeTopic]) {
    assert.deepEqual(await broker.describeTopic(topic), { partitions: 5, replication: 1 })
  }
  assert.equal((await toldOf(answers(topicPrefix, 5))).verdict, 'pass', 'they are there now')
})

test('partitions that were added before a kill to one topic only are added to the other', apache, async () => {
  const { topicPrefix, deviceTopic, probeTopic } = await topicsThere(1)
  await broker.addPartitions(deviceTopic, 3)
  // No order of a device depends on the probe's topic.
  assert.equal((await toldOf(answers(topicPrefix, 3))).verdict, 'pass')
  await applyKafka(answers(topicPrefix, 3), applyContext())
  for (const topic of [deviceTopic, probeTopic]) assert.equal((await broker.describeTopic(topic))?.partitions, 3)
})

test(
  'fewer partitions cannot be had: it says how many there are, with the cure and the number to click',
  apache,
  async () => {
    const { topicPrefix, deviceTopic } = await topicsThere(4)
    const { verdict, say, cure, field, offer } = await toldOf(answers(topicPrefix, 2))
    assert.deepEqual([verdict, field, offer?.values], ['fail', 'partitions', { partitions: '4' }])
    assert.equal(say, `Topic ${deviceTopic} has 4 partitions: none can be taken from a topic.`)
    assert.match(cure ?? '', /^Enter 4, or another Topic Prefix, or take the install .* \(keyscaler destroy\)\.$/)
  }
)

test(
  'topics that were there before this install are called so, and are not ours to be taken away',
  apache,
  async () => {
    const { topicPrefix, deviceTopic } = await topicsThere(4, false)
    const { verdict, say, cure } = await toldOf(answers(topicPrefix, 2))
    assert.equal(verdict, 'fail')
    assert.equal(
      say,
      `Topic ${deviceTopic} was there before this install, with 4 partitions: none can be taken from a topic.`
    )
    assert.equal(cure, 'Enter 4, or another Topic Prefix.')
    const grown = await toldOf(answers(topicPrefix, 6))
    assert.match(grown.say, /was there before this install, with 4 partitions, and gets 6: /)
  }
)

test('another number of copies cannot be had of a topic that is there', async () => {
  const topic = `${freshName('copies')}.devices`
  // The sandbox has one broker, so that no topic has two copies: what was seen is handed to the ladder's own outcomes.

  const seen = {
    ...{ greetings: [], login: null, cluster: null, mock: false, rights: null, roundTrip: null, growth: null },
    ...{ replication: 1, partitions: 4, deviceTopic: topic, made: new Set([topic]) },
    there: [{ topic, partitions: 4, replication: 3 }]
  }
  const outcome = topicNumbers.refused.find(({ when }) => when?.(seen))
  assert.ok(outcome !== undefined && typeof outcome.say === 'function' && typeof outcome.offer === 'function')
  assert.equal(outcome.say(seen), `Topic ${topic} has replication factor 3: a topic that is there keeps its own.`)
  assert.deepEqual([outcome.field, outcome.offer(seen)?.values], ['replication', { replication: '3' }])
})
