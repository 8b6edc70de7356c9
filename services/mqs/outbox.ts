/** The outbox table: events written in the transaction of what they tell, waiting for the relay. */
import { randomUUID } from 'node:crypto'
import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'

export interface OutboxEvent {
  readonly id: string
  readonly eventId: string
  readonly topic: string
  readonly key: string
  readonly type: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly createdAt: string
}

export interface Outbox {
  /** A probe of the way outbox -> Kafka. Answers the event's id. */
  readonly writeProbe: (topic: string) => Promise<string>
  /** When it was relayed; null: not yet; undefined: there is no such event. */
  readonly publishedAt: (eventId: string) => Promise<string | null | undefined>
  readonly lag: () => Promise<{ waiting: number; oldestSeconds: number }>
}

export function openOutbox(database: Pool): Outbox {
  return {
    writeProbe: async (topic) => {
      const eventId = randomUUID()
      await database.query(
        `INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at) VALUES (?, ?, 'probe', 'probe', '{}', ?)`,
        [eventId, topic, utcNow()]
      )
      return eventId
    },
    publishedAt: async (eventId) => {
      const [rows] = await database.query<RowDataPacket[]>('SELECT published_at FROM outbox WHERE event_id = ?', [
        eventId
      ])
      return rows[0]?.published_at as string | null | undefined
    },
    lag: async () => {
      const [rows] = await database.query<RowDataPacket[]>(
        `SELECT COUNT(*) AS waiting, COALESCE(TIMESTAMPDIFF(SECOND, MIN(created_at), UTC_TIMESTAMP()), 0) AS oldest
         FROM outbox WHERE published_at IS NULL`
      )
      return { waiting: Number(rows[0]?.waiting ?? 0), oldestSeconds: Number(rows[0]?.oldest ?? 0) }
    }
  }
}

/** Everything unpublished, oldest first: not "after the last id", since a lower id may commit later. */
export async function unpublished(connection: PoolConnection, most: number): Promise<readonly OutboxEvent[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT * FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT ?',
    [most]
  )
  return rows.map((row) => ({
    id: String(row.id),
    eventId: String(row.event_id),
    topic: String(row.topic),
    key: String(row.event_key),
    type: String(row.type),
    payload: typeof row.payload === 'string' ? JSON.parse(row.payload) : row.payload,
    createdAt: `${String(row.created_at).replace(' ', 'T')}Z`
  }))
}

export async function markPublished(connection: PoolConnection, ids: readonly string[]): Promise<number> {
  const [result] = await connection.query<ResultSetHeader>('UPDATE outbox SET published_at = ? WHERE id IN (?)', [
    utcNow(),
    ids
  ])
  return result.affectedRows
}
