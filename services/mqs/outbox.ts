/** The outbox table: events written in the transaction of what they tell, waiting for the relay. */
import { randomUUID } from 'node:crypto'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import { iso, isoOrNull, jsonColumn } from '../../lib/database/rows.ts'

export interface OutboxEvent {
  readonly id: string
  readonly eventId: string
  readonly topic: string
  readonly key: string
  readonly type: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly createdAt: string
}

interface EventFate {
  /** When it was relayed; null: not yet. */
  readonly publishedAt: string | null
  /** Why the broker will never take it; null: it is not parked. */
  readonly parkedBecause: string | null
}

export interface Lag {
  readonly waiting: number
  readonly oldestSeconds: number
  readonly parked: number
}

export interface Outbox {
  /** A probe of the way outbox -> Kafka. Answers the event's id. */
  readonly writeProbe: (topic: string) => Promise<string>
  /** Null: there is no such event. */
  readonly fateOf: (eventId: string) => Promise<EventFate | null>
  readonly lag: () => Promise<Lag>
  /** Of events that wait. */
  readonly topics: () => Promise<readonly string[]>
}

const waiting = 'published_at IS NULL AND parked_at IS NULL'

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
    fateOf: async (eventId) => {
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT published_at, parked_because FROM outbox WHERE event_id = ?',
        [eventId]
      )
      const [row] = rows
      if (row === undefined) return null
      return {
        publishedAt: isoOrNull(row.published_at),
        parkedBecause: row.parked_because
      }
    },
    lag: async () => {
      const [rows] = await database.query<RowDataPacket[]>(
        `SELECT COUNT(*) AS events, COALESCE(TIMESTAMPDIFF(SECOND, MIN(created_at), UTC_TIMESTAMP()), 0) AS oldest,
         (SELECT COUNT(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NOT NULL) AS parked
         FROM outbox WHERE ${waiting}`
      )
      const [row] = rows
      return {
        waiting: Number(row?.events ?? 0),
        oldestSeconds: Math.max(0, Number(row?.oldest ?? 0)),
        parked: Number(row?.parked ?? 0)
      }
    },
    topics: async () => {
      const [rows] = await database.query<RowDataPacket[]>(`SELECT DISTINCT topic FROM outbox WHERE ${waiting}`)
      return rows.map((row) => String(row.topic))
    }
  }
}

/** The oldest that wait for a topic: not those "after the last id", since a lower id may commit later. */
export async function oldestOf(
  connection: PoolConnection,
  topic: string,
  most: number
): Promise<readonly OutboxEvent[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT id, event_id, topic, event_key, type, payload, created_at FROM outbox
     WHERE ${waiting} AND topic = ? ORDER BY id LIMIT ?`,
    [topic, most]
  )
  return rows.map((row) => ({
    id: String(row.id),
    eventId: String(row.event_id),
    topic: String(row.topic),
    key: String(row.event_key),
    type: String(row.type),
    payload: jsonColumn(row.payload),
    createdAt: iso(row.created_at)
  }))
}

export async function markPublished(connection: PoolConnection, events: readonly OutboxEvent[]): Promise<void> {
  if (events.length === 0) return
  const ids = events.map(({ id }) => id)
  await connection.query('UPDATE outbox SET published_at = ? WHERE id IN (?)', [utcNow(), ids])
}

/** @param because at most 190 characters are kept */
export async function park(connection: PoolConnection, event: OutboxEvent, because: string): Promise<void> {
  await connection.query('UPDATE outbox SET parked_at = ?, parked_because = ? WHERE id = ?', [
    utcNow(),
    because.slice(0, 190),
    event.id
  ])
}
