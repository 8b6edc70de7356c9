import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { AppError } from '../errors/app-error.ts'
import { type BrokerSettings, isMockCluster, openBroker } from './broker.ts'

const { kafka } = await sharedSandbox(['kafka'])
const settings: BrokerSettings = { brokers: kafka.brokers, security: 'PLAINTEXT' }
const broker = openBroker(settings)
after(() => broker.close())
const apache = kafka.kind === 'apache' ? {} : { skip: 'librdkafka mock cluster: no topic administration there' }

const gone = (thrown: unknown) =>
  thrown instanceof AppError && (thrown.code === 'broker-unavailable' || thrown.code === 'deadline-exceeded')

async function peer(greet: (socket: Socket) => void): Promise<BrokerSettings> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    greet(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return { ...settings, brokers: [`127.0.0.1:${typeof address === 'object' ? address?.port : 0}`] }
}

test('tells the cluster, and whether it is the mock', async () => {
  const metadata = await broker.metadata()
  assert.ok(metadata.brokers.length >= 1)
  assert.equal(isMockCluster(metadata), kafka.kind === 'mock')
})

test('between requests a connection rests: no timer is set for the end of a throttling that is not there', async () => {
  const warnings: string[] = []
  const heard = ({ name }: Error) => warnings.push(name)
  process.on('warning', heard)
  try {
    await broker.metadata()
    // Told in the tick after a timer was set for a time that is past.
    await new Promise(setImmediate)
  } finally {
    process.off('warning', heard)
  }
  assert.deepEqual(warnings, [])
})

test('topics are made once, with what was asked for', apache, async () => {
  const topic = freshName('topic')
  const plan = [{ topic, partitions: 3, replication: 1 }]
  assert.deepEqual(await broker.createTopics(plan), [topic])
  assert.deepEqual(await broker.createTopics(plan), [])
  assert.deepEqual(await broker.describeTopic(topic), { partitions: 3, replication: 1 })
  await broker.deleteTopic(topic)
})

test(
  'a topic is given more partitions, which take records at once; asking alone makes none, and none are taken away',
  apache,
  async () => {
    const topic = freshName('grown')
    await broker.createTopics([{ topic, partitions: 2, replication: 1 }])
    await broker.addPartitions(topic, 5, true)
    assert.deepEqual(await broker.describeTopic(topic), { partitions: 2, replication: 1 })
    await broker.addPartitions(topic, 5)
    assert.deepEqual(await broker.describeTopic(topic), { partitions: 5, replication: 1 })
    const keys = Array.from({ length: 40 }, (_, index) => ({ key: `device-${index}`, value: 'v' }))
    assert.equal((await broker.produce(topic, keys)).length, 5)
    for (const partitions of [5, 3])
      await assert.rejects(broker.addPartitions(topic, partitions), { code: 'invalid-input' })
    await assert.rejects(broker.addPartitions(freshName('absent'), 2), { code: 'not-found' })
  }
)

test('partitions take records from the moment when they were added', apache, async () => {
  const keys = Array.from({ length: 200 }, (_, index) => ({ key: `device-${index}`, value: 'v' }))
  for (let time = 0; time < 5; time++) {
    const topic = freshName('grown')
    const sender = openBroker(settings)
    await sender.createTopics([{ topic, partitions: 1, replication: 1 }])
    await sender.addPartitions(topic, 40)
    assert.equal((await sender.produce(topic, keys)).length, 40)
    await sender.deleteTopic(topic)
    await sender.close()
  }
})

test('a topic takes records from the moment when it was made', apache, async () => {
  const records = ['a', 'b', 'c', 'd', 'e'].map((key) => ({ key, value: key }))
  for (let time = 0; time < 5; time++) {
    const topic = freshName('at-once')
    const sender = openBroker(settings)
    await sender.createTopics([{ topic, partitions: 3, replication: 1 }])
    assert.ok((await sender.produce(topic, records)).length > 0)
    await sender.deleteTopic(topic)
    // What was deleted is no concern of the next.
    await sender.createTopics([{ topic: `${topic}-next`, partitions: 1, replication: 1 }])
    await sender.deleteTopic(`${topic}-next`)
    await sender.close()
  }
})

test('what the cluster cannot do is said by its own name, and the connection goes on', apache, async () => {
  const topic = freshName('topic')
  await assert.rejects(broker.createTopics([{ topic, partitions: 1, replication: 9 }]), { code: 'invalid-input' })
  await assert.rejects(broker.deleteTopic(topic), { code: 'not-found' })
  await assert.rejects(broker.createTopics([{ topic: 'a b', partitions: 1, replication: 1 }]), {
    code: 'invalid-input'
  })
  assert.ok((await broker.metadata()).brokers.length >= 1)
})

test('records of one key come back in order, with headers, from where they were put', async () => {
  const topic = freshName('records')
  await broker.createTopics([{ topic, partitions: 4, replication: 1 }])
  const records = ['1', '2', '3'].map((value) => ({ key: 'device', value, headers: { 'event-id': `e${value}` } }))
  await broker.produce(topic, [{ key: 'device', value: '0' }])
  const [place] = await broker.produce(topic, records)
  assert.ok(place !== undefined)
  const seen: string[] = []
  const last = await broker.consumeOne(
    topic,
    ({ value, headers }) => {
      seen.push(`${value} ${headers['event-id']}`)
      return value === '3'
    },
    { from: [place] }
  )
  assert.deepEqual(seen, ['1 e1', '2 e2', '3 e3'])
  assert.deepEqual([last.key, last.partition], ['device', place.partition])
})

test('a refused, a silent and a wrong peer are an error within the deadline', async () => {
  const silent = await peer(() => {})
  const wrong = await peer((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const refused = { ...settings, brokers: ['127.0.0.1:1'] }
  const started = performance.now()
  await Promise.all(
    [silent, wrong, refused].map(async (bad) => {
      const port = openBroker(bad, 1000)
      await assert.rejects(port.metadata(), gone)
      await assert.rejects(port.produce('t', [{ key: 'k', value: 'v' }]), gone)
      await port.close()
    })
  )
  assert.ok(performance.now() - started < 5000)
})

test('reading what never comes ends at its deadline', async () => {
  const topic = freshName('empty')
  await broker.createTopics([{ topic, partitions: 1, replication: 1 }])
  await assert.rejects(
    broker.consumeOne(topic, () => true, { deadlineMs: 700 }),
    { code: 'deadline-exceeded' }
  )
})
