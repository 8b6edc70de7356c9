/** The first page: how the services are, what there is of each thing, and the licence. */
import type { FastifyInstance } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import { iso } from '../../lib/database/rows.ts'
import { show } from './answer-form.ts'
import type { HealthBoard } from './health-board.ts'
import { sessionOf } from './session-guard.ts'

export function registerOverview(
  app: FastifyInstance,
  { database, health }: { readonly database: Pool; readonly health: HealthBoard }
): void {
  app.get('/', async (request, reply) => {
    const { administrator } = sessionOf(request)
    const [services, counts, license] = await Promise.all([
      health.look(),
      countsOf(database, administrator.tenant),
      licenseOf(database)
    ])
    const { fullName, email, tenant } = administrator
    const data = {
      administrator: { fullName, email, tenant },
      services,
      // As the KMS says it (services/kms/readiness.ts): until the keys have moved to an HSM.
      softwareKeys: services.some(({ details }) => details.some((detail) => detail.includes('not HSM-protected'))),
      counts,
      license,
      now: new Date().toISOString()
    }
    return show(request, reply, '/cp/overview.eta', data)
  })
}

async function countsOf(database: Pool, tenant: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    {
      namedPlaceholders: true,
      sql: `SELECT
        (SELECT COUNT(*) FROM registrations WHERE tenant = :tenant) AS registrations,
        (SELECT COUNT(*) FROM registrations WHERE tenant = :tenant AND used_at IS NULL AND expires_at > :now) AS open,
        (SELECT COUNT(*) FROM devices WHERE tenant = :tenant) AS devices,
        (SELECT COUNT(*) FROM certificates c JOIN devices d ON d.id = c.device_id
          WHERE d.tenant = :tenant AND c.state = 'issued' AND c.not_after > :now) AS certificates,
        (SELECT COUNT(*) FROM outbox WHERE published_at IS NULL) AS eventsWaiting`
    },
    { tenant, now: utcNow() }
  )
  const count = (name: string) => Number(rows[0]?.[name] ?? 0)
  return {
    registrations: count('registrations'),
    openRegistrations: count('open'),
    devices: count('devices'),
    validCertificates: count('certificates'),
    eventsWaiting: count('eventsWaiting')
  }
}

/** The one that registrations are counted against (the DAE's choice): the largest that is valid. Null: none is. */
async function licenseOf(database: Pool) {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT licensee, device_limit, not_after, (SELECT COUNT(*) FROM registrations) AS taken
     FROM licenses WHERE not_after > ? ORDER BY device_limit DESC LIMIT 1`,
    [utcNow()]
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    licensee: String(row.licensee),
    deviceLimit: Number(row.device_limit),
    taken: Number(row.taken),
    notAfter: iso(row.not_after)
  }
}
