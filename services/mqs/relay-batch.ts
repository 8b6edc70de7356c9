/**
 * One batch of one topic under the lease: the lease row is locked from reading the batch until it is marked, so that two
 * relays never send side by side and a key's order holds. A killed relay's lock ends with its connection.
 */
import { hostname } from 'node:os'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import type { Broker } from '../../lib/broker/broker.ts'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { markPublished, oldestOf, park } from './outbox.ts'
import { type Sent, send } from './send.ts'

export interface BatchParts {
  readonly database: Pool
  readonly broker: Broker
  /** A relay that is frozen in the middle of a batch loses its connection, and with it the lease, after this. */
  readonly leaseSeconds: number
}

export interface Batch extends Sent {
  /** There may be more events to read at once. */
  readonly full: boolean
}

const batchSize = 200

export async function prepareLease(database: Pool): Promise<void> {
  await database.query(`INSERT IGNORE INTO relay_lease (name, holder, taken_at) VALUES ('outbox', '', ?)`, [utcNow()])
}

/** Null: another relay has the lease. @throws what the database throws; then nothing of the batch is marked */
export function relayBatch({ database, broker, leaseSeconds }: BatchParts, topic: string): Promise<Batch | null> {
  return withTransaction(database, async (connection) => {
    await connection.query('SET SESSION wait_timeout = ?', [leaseSeconds])
    if (!(await takeLease(connection))) return null
    const events = await oldestOf(connection, topic, batchSize)
    if (events.length === 0) return { published: [], parked: [], problem: null, full: false }
    const sent = await send(broker, topic, events)
    await markPublished(connection, sent.published)
    for (const { event, because } of sent.parked) await park(connection, event, because)
    return { ...sent, full: events.length === batchSize }
  })
}

async function takeLease(connection: PoolConnection): Promise<boolean> {
  const [lease] = await connection.query<RowDataPacket[]>(
    `SELECT name FROM relay_lease WHERE name = 'outbox' FOR UPDATE SKIP LOCKED`
  )
  if (lease.length === 0) return false
  const holder = `${hostname()}:${process.pid}`.slice(-64)
  await connection.query(`UPDATE relay_lease SET holder = ?, taken_at = ? WHERE name = 'outbox'`, [holder, utcNow()])
  return true
}
