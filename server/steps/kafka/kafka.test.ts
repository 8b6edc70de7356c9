import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openBroker } from '../../../lib/broker/broker.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { sweepScratchTopics } from '../../checks/kafka.ts'
import { deadPort, firstTrouble, httpPeer, resetPeer, silentPeer, verdicts } from '../../checks/testing.ts'
import { applyContext } from '../testing.ts'
import { type KafkaAnswers, kafkaAnswers, topicsOf } from './answers.ts'
import { applyKafka } from './apply.ts'
import { kafkaLadder } from './checks.ts'
import { kafkaStep } from './step.ts'

const { kafka } = await sharedSandbox(['kafka'])
const form = {
  security: 'PLAINTEXT',
  brokers: kafka.brokers.join('\n'),
  topicPrefix: 'ks',
  partitions: '2',
  replication: '1'
}
const answers = (over: object = {}): KafkaAnswers => kafkaAnswers.parse({ ...form, ...over })
const fieldsOf = (over: object) => {
  const parsed = kafkaStep.parse({ ...form, ...over })
  return parsed.ok ? {} : parsed.fields
}

test('brokers come in lines, with commas or as a list; ports and case are made even', () => {
  const even = ['a.example:9092', 'b.example:9093', '[::1]:9092']
  for (const brokers of ['A.example\nb.example:9093\r\n[::1]', 'a.example, b.example:9093,[::1]:9092', even]) {
    assert.deepEqual(answers({ brokers }).brokers, even)
  }
})

test('what belongs to another security protocol is not asked for; what is missing is named', () => {
  assert.deepEqual(fieldsOf({ username: '', password: '', mechanism: 'plain', ca: '' }), {})
  assert.deepEqual(fieldsOf({ security: 'SASL_SSL', username: '', password: '' }), {
    mechanism: 'Choose a SASL mechanism.',
    username: 'You must provide a value for User Name.',
    password: 'You must provide a value for Password.'
  })
  assert.deepEqual(fieldsOf({ security: 'SASL_PLAINTEXT' }), { security: 'Choose a security protocol.' })
})

for (const [field, value, message] of [
  ['brokers', '', 'You must provide a value for Kafka Brokers.'],
  ['brokers', 'a:1 a:1', 'Kafka Brokers: each server once.'],
  ['brokers', 'kafka://a:9092', '"kafka://a:9092" is not host:port.'],
  ['brokers', Array.from({ length: 17 }, (_, index) => `h${index}:9092`), 'Kafka Brokers: at most 16.'],
  ['topicPrefix', 'a b', 'Topic Prefix must be 1–100 letters, digits, dots, underscores or hyphens.'],
  ['partitions', '0', 'Partitions must be 1–1000.'],
  ['replication', 'two', 'Replication Factor must be 1–15.']
] as const) {
  test(`${field} = ${JSON.stringify(value).slice(0, 40)} is answered with: ${message}`, () => {
    assert.deepEqual(fieldsOf({ [field]: value }), { [field]: message })
  })
}

test('a good cluster passes: metadata, a scratch topic, one record there and back', async () => {
  const topicPrefix = freshName('check')
  const { findings, byId } = await verdicts(kafkaLadder, answers({ topicPrefix }))
  const mock = kafka.kind === 'mock'
  assert.deepEqual(
    byId,
    {
      'brokers-answer': 'pass',
      encryption: 'pass',
      metadata: mock ? 'info' : 'pass',
      topics: mock ? 'info' : 'pass',
      record: 'pass'
    },
    JSON.stringify(firstTrouble(findings))
  )
  if (mock) return
  const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
  const { topics } = await broker.metadata()
  await broker.close()
  assert.deepEqual(
    topics.filter((topic) => topic.startsWith(topicPrefix)),
    []
  )
})

test('more copies than brokers is said in the words of the guide, with the right number to click', async () => {
  const { findings } = await verdicts(kafkaLadder, answers({ replication: '7' }))
  const trouble = findings.find(({ verdict }) => verdict === 'fail')
  const size = kafka.kind === 'mock' ? 3 : 1
  assert.equal(trouble?.say, `Replication factor 7 exceeds ${size} brokers.`)
  assert.equal(trouble?.field, 'replication')
  assert.deepEqual(trouble?.offer?.values, { replication: String(size) })
})

test('a refusing, silent, resetting and a wrong peer are told apart, in time, with a cure', async () => {
  const [dead, silent, http, reset] = await Promise.all([deadPort(), silentPeer(), httpPeer(), resetPeer()])
  const started = performance.now()
  const says = await Promise.all(
    [`127.0.0.1:${dead}`, silent.server, http.server, reset.server, 'nobody.invalid:9092'].map(async (brokers) => {
      const trouble = firstTrouble((await verdicts(kafkaLadder, answers({ brokers }))).findings)
      assert.ok(trouble?.cure)
      assert.equal(trouble.field, 'brokers')
      return trouble.say
    })
  )
  assert.deepEqual(says, [
    `Cannot reach 127.0.0.1:${dead} (connection refused).`,
    `Cannot reach ${silent.server} (no answer).`,
    `What answers at ${http.server} is not Kafka.`,
    `${reset.server} hangs up on an unencrypted connection.`,
    'nobody.invalid does not resolve by DNS or /etc/hosts.'
  ])
  assert.ok(performance.now() - started < 5000)
})

test('one broker of several that is down is a warning, not the end', async () => {
  const brokers = [...kafka.brokers, `127.0.0.1:${await deadPort()}`]
  const { byId } = await verdicts(kafkaLadder, answers({ brokers, topicPrefix: freshName('some') }))
  assert.equal(byId['brokers-answer'], 'warn')
  assert.equal(byId.record, 'pass')
})

test('TLS that the broker does not offer is a failure before any user name is sent', async () => {
  const silent = await silentPeer()
  const login = { mechanism: 'plain', username: 'somebody', password: 'a-secret-word' }
  const { findings } = await verdicts(kafkaLadder, answers({ security: 'SASL_SSL', brokers: silent.server, ...login }))
  assert.equal(firstTrouble(findings)?.id, 'kafka.brokers-answer')
  assert.ok(!silent.heard().includes('somebody') && !silent.heard().includes('a-secret-word'))
})

test('apply makes both topics, once, through the ledger', async () => {
  const topicPrefix = freshName('apply')
  const context = applyContext()
  await applyKafka(answers({ topicPrefix }), context)
  await applyKafka(answers({ topicPrefix }), context)
  const { deviceTopic, probeTopic } = topicsOf(topicPrefix)
  assert.deepEqual(context.effects.slice(0, 2), [`topic ${deviceTopic}`, `topic ${probeTopic}`])
  const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
  after(() => broker.close())
  assert.ok((await broker.metadata()).topics.includes(deviceTopic))
  if (kafka.kind === 'apache') {
    assert.deepEqual(await broker.describeTopic(probeTopic), { partitions: 2, replication: 1 })
  }
})

test('a scratch topic that is still listed and gone already stops nobody', {
  skip: kafka.kind === 'mock' && 'the mock cluster deletes nothing'
}, async () => {
  const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
  try {
    const listed = { ...(await broker.metadata()), topics: ['gone.check-0123456789'] }
    await sweepScratchTopics({ ...broker, metadata: async () => listed }, 'gone')
    await assert.rejects(broker.deleteTopic('gone.check-0123456789'), { code: 'not-found' })
  } finally {
    await broker.close()
  }
})

test('apply removes the scratch topic of a check that was killed, and no other', {
  skip: kafka.kind === 'mock' && 'a mock cannot delete topics'
}, async () => {
  const topicPrefix = freshName('swept')
  const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
  after(() => broker.close())
  const kept = [`${topicPrefix}.check-list`, `${topicPrefix}2.check-0123456789`]
  const topics = [...kept, `${topicPrefix}.check-0123456789`]
  await broker.createTopics(topics.map((topic) => ({ topic, partitions: 1, replication: 1 })))
  await applyKafka(answers({ topicPrefix }), applyContext())
  const left = (await broker.metadata()).topics.filter((topic) => topics.includes(topic))
  assert.deepEqual(left.sort(), kept.sort())
})
