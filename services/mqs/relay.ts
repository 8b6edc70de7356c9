/**
 * The relay: at least once, in order within a key, with an event id that stays the same when it is sent again. One relay
 * at a time: the lease row is held FOR UPDATE from reading a batch until it is marked, so a second relay waits, and a
 * killed one's lease ends with its connection.
 */
import { hostname } from 'node:os'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Broker, BrokerRecord } from '../../lib/broker/broker.ts'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { messageOf } from '../../lib/errors/app-error.ts'
import { markPublished, type OutboxEvent, unpublished } from './outbox.ts'

export interface Relay {
  /** Looks now instead of at the next turn. */
  readonly nudge: () => void
  readonly state: () => { readonly problem: string | null; readonly lastPassAt: string | null }
  /** Ends after the batch that is on its way. */
  readonly stop: () => Promise<void>
}

export interface RelayParts {
  readonly database: Pool
  readonly broker: Broker
  readonly log: Logger
  readonly metrics: Registry
}

const batchSize = 200
const idleMs = 200
const backOffMs = { first: 200, most: 5000 }

export async function startRelay({ database, broker, log, metrics }: RelayParts): Promise<Relay> {
  const relayed = new Counter({ name: 'mqs_relayed_total', help: 'Events relayed to Kafka', registers: [metrics] })
  const failing = new Gauge({ name: 'mqs_relay_failing', help: '1 while the broker is away', registers: [metrics] })
  await database.query('INSERT IGNORE INTO relay_lease (name, holder, taken_at) VALUES (?, ?, ?)', [
    'outbox',
    '',
    utcNow()
  ])
  let stopped = false
  let problem: string | null = null
  let lastPassAt: string | null = null
  let wake = () => {}

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async () => {
    let wait = backOffMs.first
    while (!stopped) {
      try {
        const sent = await relayBatch(database, broker)
        relayed.inc(sent)
        if (problem !== null) log.info('relaying again')
        problem = null
        lastPassAt = new Date().toISOString()
        failing.set(0)
        wait = backOffMs.first
        if (sent < batchSize && !stopped) await pause(idleMs)
      } catch (thrown) {
        problem = messageOf(thrown)
        failing.set(1)
        log.warn({ problem }, 'relaying failed; events wait in the outbox')
        if (!stopped) await pause(wait)
        wait = Math.min(wait * 2, backOffMs.most)
      }
    }
  }
  const running = run()

  return {
    nudge: () => wake(),
    state: () => ({ problem, lastPassAt }),
    stop: async () => {
      stopped = true
      wake()
      await running
    }
  }
}

/** One batch under the lease. Answers how many events it had. */
async function relayBatch(database: Pool, broker: Broker): Promise<number> {
  return withTransaction(database, async (connection) => {
    const [lease] = await connection.query<RowDataPacket[]>(
      `SELECT name FROM relay_lease WHERE name = 'outbox' FOR UPDATE`
    )
    if (lease.length === 0) throw new Error('the lease row is missing')
    const events = await unpublished(connection, batchSize)
    if (events.length === 0) return 0
    for (const [topic, batch] of byTopic(events)) await broker.produce(topic, batch.map(recordOf))
    await connection.query(`UPDATE relay_lease SET holder = ?, taken_at = ? WHERE name = 'outbox'`, [
      `${hostname()}:${process.pid}`.slice(0, 64),
      utcNow()
    ])
    await markPublished(
      connection,
      events.map(({ id }) => id)
    )
    return events.length
  })
}

function byTopic(events: readonly OutboxEvent[]): Map<string, OutboxEvent[]> {
  const topics = new Map<string, OutboxEvent[]>()
  for (const event of events) topics.set(event.topic, [...(topics.get(event.topic) ?? []), event])
  return topics
}

function recordOf({ eventId, type, key, createdAt, payload }: OutboxEvent): BrokerRecord {
  return {
    key,
    value: JSON.stringify({ eventId, type, at: createdAt, ...payload }),
    headers: { 'event-id': eventId, type }
  }
}
