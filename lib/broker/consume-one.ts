/** Reading one record back, in a consumer group of its own that is removed again where the cluster lets us. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { RetryOptions } from 'kafkajs'
import { within } from '../process/within.ts'
import type { BrokerSettings, ReceivedRecord } from './broker.ts'
import { brokerError } from './errors.ts'
import { kafkaClient } from './kafka-client.ts'
import type { Produced } from './produce.ts'

/** The first group of a new cluster waits for __consumer_offsets to be made; the deadline bounds all of it. */
const pauseMs = 200
const patient: RetryOptions = { retries: 5, initialRetryTime: 50, maxRetryTime: 400, multiplier: 1.5 }

/**
 * Tries again with another group while the cluster is not ready for groups (coordinator loading or moving).
 * @throws AppError deadline-exceeded, broker-unavailable, forbidden, …
 */
export async function consumeOne(
  settings: BrokerSettings,
  topic: string,
  wanted: (record: ReceivedRecord) => boolean,
  from: readonly Produced[] | undefined,
  deadlineMs: number
): Promise<ReceivedRecord> {
  const end = performance.now() + deadlineMs
  for (;;) {
    try {
      return await attempt(settings, topic, wanted, from, end - performance.now())
    } catch (thrown) {
      const error = brokerError(thrown)
      if (error.code !== 'broker-unavailable' || end - performance.now() < 2 * pauseMs) throw error
      await setTimeout(pauseMs)
    }
  }
}

async function attempt(
  settings: BrokerSettings,
  topic: string,
  wanted: (record: ReceivedRecord) => boolean,
  from: readonly Produced[] | undefined,
  deadlineMs: number
): Promise<ReceivedRecord> {
  const consumer = kafkaClient(settings, patient).consumer({
    groupId: `keyscaler-read-${randomUUID()}`,
    maxWaitTimeInMs: 200,
    sessionTimeout: 10_000,
    rebalanceTimeout: 5000,
    allowAutoTopicCreation: false
  })
  let joining: Promise<void> = Promise.resolve()
  try {
    return await within(deadlineMs, `reading from ${topic}`, async () => {
      joining = consumer.connect()
      await joining
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      return await new Promise<ReceivedRecord>((resolve, reject) => {
        consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
        joining = consumer.run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            const record = received(partition, message)
            if (wanted(record)) resolve(record)
          }
        })
        joining.catch(reject)
        // Allowed only once run has been called.
        for (const place of from ?? []) consumer.seek({ topic, ...place })
      })
    })
  } finally {
    // Leaving while it still joins would leave it running for ever; and nobody needs to wait for either. The group, never
    // committed to, is forgotten by the cluster once it is empty.
    void joining
      .catch(() => {})
      .then(() => consumer.disconnect())
      .catch(() => {})
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
