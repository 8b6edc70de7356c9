/** From events to Kafka records, and what becomes of those that the broker refuses. */
import type { Broker, BrokerRecord } from '../../lib/broker/broker.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { OutboxEvent } from './outbox.ts'

export interface Sent {
  /** In order, from the first; acknowledged by all in-sync replicas. */
  readonly published: readonly OutboxEvent[]
  /** Refused for what they are: no later attempt would help. */
  readonly parked: readonly { readonly event: OutboxEvent; readonly because: string }[]
  /** Why the rest was not sent; null: there is no rest. */
  readonly problem: string | null
}

interface Waiting {
  readonly event: OutboxEvent
  readonly record: BrokerRecord
}

/** Half of what brokers take by default (message.max.bytes); what is larger goes alone. */
const batchBytes = 512 * 1024
const nothing: Sent = { published: [], parked: [], problem: null }

/** Sends all events of one topic, or the first of them until the broker fails. Never throws. */
export async function send(broker: Broker, topic: string, events: readonly OutboxEvent[]): Promise<Sent> {
  return inTurn(inBatches(events.map((event) => ({ event, record: recordOf(event) }))), (batch) =>
    sendBatch(broker, topic, batch)
  )
}

/**
 * A refused batch (together too large for this topic, or with one that is) is halved until the one that is refused stands
 * alone; the order of the others stays, though some may come twice, since a batch fails for each partition by itself.
 */
async function sendBatch(broker: Broker, topic: string, batch: readonly Waiting[]): Promise<Sent> {
  try {
    await broker.produce(
      topic,
      batch.map(({ record }) => record)
    )
    return { ...nothing, published: batch.map(({ event }) => event) }
  } catch (thrown) {
    const because = messageOf(thrown)
    if (!(thrown instanceof AppError) || thrown.code !== 'invalid-input') return { ...nothing, problem: because }
    const [first, ...more] = batch
    if (first === undefined) return nothing
    if (more.length === 0) return { ...nothing, parked: [{ event: first.event, because }] }
    const half = Math.ceil(batch.length / 2)
    return inTurn([batch.slice(0, half), batch.slice(half)], (part) => sendBatch(broker, topic, part))
  }
}

/** One after the other, until one has a problem. */
async function inTurn<T>(parts: readonly T[], sendPart: (part: T) => Promise<Sent>): Promise<Sent> {
  let all = nothing
  for (const part of parts) {
    const { published, parked, problem } = await sendPart(part)
    all = { published: [...all.published, ...published], parked: [...all.parked, ...parked], problem }
    if (problem !== null) break
  }
  return all
}

function inBatches(waiting: readonly Waiting[]): Waiting[][] {
  const batches: Waiting[][] = []
  let bytes = 0
  for (const one of waiting) {
    const length = Buffer.byteLength(one.record.value)
    const batch = batches.at(-1)
    if (batch === undefined || bytes + length > batchBytes) {
      batches.push([one])
      bytes = length
    } else {
      batch.push(one)
      bytes += length
    }
  }
  return batches
}

function recordOf({ eventId, type, key, createdAt, payload }: OutboxEvent): BrokerRecord {
  return {
    key,
    value: JSON.stringify({ eventId, type, at: createdAt, ...payload }),
    headers: { 'event-id': eventId, type }
  }
}
