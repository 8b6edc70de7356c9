/** Sending, with a producer that is replaced after an error: kafkajs's own may stay broken or hang. */
import type { Kafka, Producer } from 'kafkajs'
import { within } from '../process/within.ts'
import type { BrokerRecord } from './broker.ts'
import { brokerError } from './errors.ts'
import { kafkajs } from './kafkajs.ts'

/** Where records of a batch begin in a partition. */
export interface Produced {
  readonly partition: number
  readonly offset: string
}

interface RecordSender {
  readonly send: (topic: string, records: readonly BrokerRecord[]) => Promise<readonly Produced[]>
  readonly close: () => Promise<void>
}

export function recordSender(kafka: Kafka, deadlineMs: number): RecordSender {
  let current: { producer: Producer; ready: Promise<void> } | null = null

  function open() {
    const producer = kafka.producer({
      createPartitioner: kafkajs().Partitioners.DefaultPartitioner,
      // One request at a time keeps a key's records in order when a batch is sent again.
      maxInFlightRequests: 1,
      retry: { retries: 0 }
    })
    return { producer, ready: producer.connect() }
  }

  return {
    send: async (topic, records) => {
      current ??= open()
      const { producer, ready } = current
      try {
        const sent = await within(deadlineMs, `sending to ${topic}`, async () => {
          await ready
          return await producer.send({
            topic,
            acks: -1,
            timeout: deadlineMs,
            messages: records.map(({ key, value, headers }) => ({ key, value, ...(headers && { headers }) }))
          })
        })
        return sent.map(({ partition, baseOffset }) => ({ partition, offset: baseOffset ?? '0' }))
      } catch (thrown) {
        current = null
        void producer.disconnect().catch(() => {})
        throw brokerError(thrown)
      }
    },
    close: async () => {
      await current?.producer.disconnect().catch(() => {})
      current = null
    }
  }
}
