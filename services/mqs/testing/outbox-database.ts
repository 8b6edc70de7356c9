/** A database with an outbox, with the MQS's own user; events as a DAE writes them, and as Kafka gives them out again. */
import { randomUUID } from 'node:crypto'
import type { Pool, PoolConnection } from 'mysql2/promise'
import { type BrokerSettings, openBroker, type ReceivedRecord } from '../../../lib/broker/broker.ts'
import { openPool, utcNow } from '../../../lib/database/pool.ts'
import { type DatabaseLogin, newDatabase } from '../../testing/database.ts'
import { atEnd } from '../../testing/test-file.ts'

export interface OutboxDatabase {
  /** As the owner of the schema. */
  readonly pool: Pool
  readonly login: DatabaseLogin
  /** With the MQS's rights and no other. */
  readonly asMqs: Pool
}

export async function newOutbox(): Promise<OutboxDatabase> {
  const { pool, loginOf } = await newDatabase('mqs')
  const login = await loginOf('mqs')
  const asMqs = openPool(login)
  atEnd(() => asMqs.end())
  return { pool, login, asMqs }
}

export interface NewEvent {
  readonly topic: string
  readonly key: string
  readonly payload?: object
}

/** Writes them in this order; answers their event ids. */
export async function write(to: Pool | PoolConnection, events: readonly NewEvent[]): Promise<string[]> {
  const rows = events.map(({ topic, key, payload }) => [
    randomUUID(),
    topic,
    key,
    'device.enrolled',
    JSON.stringify(payload ?? { device: key }),
    utcNow()
  ])
  await to.query('INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at) VALUES ?', [rows])
  return rows.map(([eventId]) => String(eventId))
}

/** Settles when none of these waits any more: each is published or parked. */
export async function relayed(pool: Pool, eventIds: readonly string[], withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    const [rows] = await pool.query(
      'SELECT event_id FROM outbox WHERE event_id IN (?) AND published_at IS NULL AND parked_at IS NULL LIMIT 1',
      [eventIds]
    )
    if (Array.isArray(rows) && rows.length === 0) return
    if (performance.now() > until) throw new Error(`events still wait after ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The records of a topic in the order of their partitions, until `wanted` of them have been read. */
export async function recordsOf(settings: BrokerSettings, topic: string, wanted: number): Promise<ReceivedRecord[]> {
  const broker = openBroker(settings)
  const records: ReceivedRecord[] = []
  try {
    await broker.consumeOne(topic, (record) => records.push(record) === wanted)
  } finally {
    await broker.close()
  }
  return records
}

export function idsOf(records: readonly ReceivedRecord[], key?: string): string[] {
  return records
    .filter((record) => key === undefined || record.key === key)
    .map(({ headers }) => headers['event-id'] ?? '')
}
