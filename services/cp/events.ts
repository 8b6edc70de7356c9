/** The newest events of the tenant in the outbox, and whether they have reached Kafka. */
import type { FastifyInstance } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { iso, isoOrNull } from '../../lib/database/rows.ts'
import { show } from './answer-form.ts'
import { sessionOf } from './session-guard.ts'

const mostListed = 100

export function registerEvents(app: FastifyInstance, database: Pool): void {
  app.get('/events', async (request, reply) => {
    const events = await newest(database, sessionOf(request).administrator.tenant)
    return show(request, reply, '/cp/events.eta', { events, mostListed })
  })
}

/** The payload says whose an event is; probes are nobody's. */
async function newest(database: Pool, tenant: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT event_id, topic, event_key, type, created_at, published_at FROM outbox
     WHERE JSON_UNQUOTE(JSON_EXTRACT(payload, '$.tenant')) = ? ORDER BY id DESC LIMIT ?`,
    [tenant, mostListed]
  )
  return rows.map((row) => ({
    eventId: String(row.event_id),
    topic: String(row.topic),
    device: String(row.event_key),
    type: String(row.type),
    createdAt: iso(row.created_at),
    publishedAt: isoOrNull(row.published_at)
  }))
}
