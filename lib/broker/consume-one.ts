/** Reading one record back, in a consumer group of its own that is removed again where the cluster lets us. */
import { randomUUID } from 'node:crypto'
import type { RetryOptions } from 'kafkajs'
import type { BrokerSettings, ReceivedRecord } from './broker.ts'
import { brokerError } from './errors.ts'
import { kafkaClient } from './kafka-client.ts'
import type { Produced } from './produce.ts'
import { within } from './within.ts'

/** The first group of a new cluster waits for __consumer_offsets to be made; the deadline bounds all of it. */
const patient: RetryOptions = { retries: 40, initialRetryTime: 50, maxRetryTime: 400, multiplier: 1.5 }

export async function consumeOne(
  settings: BrokerSettings,
  topic: string,
  wanted: (record: ReceivedRecord) => boolean,
  from: readonly Produced[] | undefined,
  deadlineMs: number
): Promise<ReceivedRecord> {
  const kafka = kafkaClient(settings, patient)
  const groupId = `keyscaler-read-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 200,
    sessionTimeout: 10_000,
    rebalanceTimeout: 5000,
    allowAutoTopicCreation: false
  })
  try {
    return await within(deadlineMs, `reading from ${topic}`, async () => {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      return await new Promise<ReceivedRecord>((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
        consumer
          .run({
            autoCommit: false,
            eachMessage: async ({ partition, message }) => {
              const record = received(partition, message)
              if (wanted(record)) resolve(record)
            }
          })
          .catch(reject)
        // Allowed only once run has been called.
        for (const place of from ?? []) consumer.seek({ topic, ...place })
      })
    })
  } catch (thrown) {
    throw brokerError(thrown)
  } finally {
    // Leaving may wait for a broker that is gone; nobody needs to wait for that. The group, never committed to, is forgotten
    // by the cluster once it is empty.
    void consumer.disconnect().catch(() => {})
  }
}

interface RawMessage {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly offset: string
  readonly headers?: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>
}

function received(partition: number, { key, value, offset, headers = {} }: RawMessage): ReceivedRecord {
  const texts = Object.entries(headers).map(([name, content]) => [name, String(content ?? '')])
  return {
    key: key?.toString() ?? '',
    value: value?.toString() ?? '',
    headers: Object.fromEntries(texts),
    partition,
    offset
  }
}
