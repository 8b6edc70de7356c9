import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import kafkajs, { type Admin, type Kafka as Client } from 'kafkajs'
import { startSandbox } from './sandbox.ts'
import { freshName, sharedSandbox } from './testing.ts'

const { Kafka, logLevel, Partitioners } = kafkajs

const shared = await sharedSandbox(['kafka'])
const skip = shared.kafka.whyMock ?? false

describe('what the product needs of Apache Kafka, through kafkajs', { skip }, () => {
  const prefix = freshName('broker')
  let client: Client
  let admin: Admin
  before(async () => {
    client = new Kafka({ brokers: [...shared.kafka.brokers], logLevel: logLevel.NOTHING })
    admin = client.admin()
    await admin.connect()
  })
  after(() => admin.disconnect())

  test('a topic is created with its partitions, listed and described', async () => {
    const topic = `${prefix}.made`
    const topics = [{ topic, numPartitions: 3, replicationFactor: 1 }]
    assert.equal(await admin.createTopics({ topics, waitForLeaders: true }), true)
    assert.equal(await admin.createTopics({ topics }), false, 'a second creation changes nothing')
    assert.ok((await admin.listTopics()).includes(topic))
    assert.equal((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions.length, 3)
    assert.equal((await admin.describeCluster()).brokers.length, 1)
  })

  test('a topic that nobody created does not appear by being mentioned', async () => {
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner, retry: { retries: 0 } })
    await producer.connect()
    const sent = producer.send({ topic: `${prefix}.absent`, messages: [{ value: 'x' }] })
    await assert.rejects(
      sent.finally(() => producer.disconnect()),
      /does not host this topic-partition/
    )
    assert.ok(!(await admin.listTopics()).includes(`${prefix}.absent`))
  })

  test('more replicas than brokers are refused', async () => {
    const topics = [{ topic: `${prefix}.three`, numPartitions: 1, replicationFactor: 3 }]
    await assert.rejects(admin.createTopics({ topics }), (error: kafkajs.KafkaJSAggregateError) => {
      assert.match(String(error.errors[0]), /Replication-factor is invalid/)
      return true
    })
  })

  test('records of an idempotent producer reach a group in key order, and its offsets are kept', async () => {
    const topic = `${prefix}.events`
    const groupId = `${prefix}.group`
    await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }], waitForLeaders: true })
    const producer = client.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      idempotent: true,
      maxInFlightRequests: 1
    })
    await producer.connect()
    const values = ['1', '2', '3']
    for (const value of values) {
      await producer.send({ topic, acks: -1, messages: [{ key: 'device-1', value, headers: { 'event-id': value } }] })
    }
    await producer.disconnect()

    const consumer = client.consumer({ groupId })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen: (string | undefined)[] = []
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          eachMessage: async ({ message }) => {
            assert.equal(message.headers?.['event-id']?.toString(), message.value?.toString())
            if (seen.push(message.value?.toString()) === values.length) resolve()
          }
        })
        .catch(reject)
    })
    await consumer.disconnect() // commits what was handled
    assert.deepEqual(seen, values)

    const [kept] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const ends = await admin.fetchTopicOffsets(topic)
    const sum = (rows: readonly { offset: string }[]): number =>
      rows.reduce((total, row) => total + Math.max(0, Number(row.offset)), 0)
    assert.equal(sum(ends), values.length)
    assert.equal(sum(kept?.partitions ?? []), values.length)
  })
})

test('the mock cluster moves a record, and says that it is the mock', async () => {
  const sandbox = await startSandbox({ parts: ['kafka'], kafka: 'mock' })
  assert.equal(sandbox.kafka.kind, 'mock')
  assert.match(String(sandbox.kafka.whyMock), /mock/)
  const client = new Kafka({ brokers: [...sandbox.kafka.brokers], logLevel: logLevel.NOTHING })
  const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: true })
  await producer.connect()
  const [written] = await producer.send({ topic: 'probe', messages: [{ value: 'x' }] })
  assert.equal(written?.baseOffset, '0')
  await producer.disconnect()
  await sandbox.stop()
})
