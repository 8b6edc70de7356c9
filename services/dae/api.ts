/** Registrations and devices for the Control Panel and the wizard, by mutual TLS. */
import type { FastifyInstance } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { requireRole, roleOf } from '../../lib/service/roles.ts'
import { deviceNamePattern, type Registrations } from './registrations.ts'

const newRegistration = z.strictObject({
  deviceName: z
    .string({ error: 'You must provide a value for Device Name.' })
    .regex(deviceNamePattern, 'A device name has 1–64 letters, digits, dots, hyphens or underscores.'),
  hours: z.int().min(1).max(720).default(24),
  /** Who asked, for the record; the role itself when absent. */
  by: z.string().max(190).optional()
})

export interface ApiParts {
  readonly database: Pool
  readonly tenant: string
  readonly registrations: Registrations
}

export function registerApi(app: FastifyInstance, { database, tenant, registrations }: ApiParts): void {
  // Before the body is read: a stranger is told nothing about it.
  const callers = { onRequest: requireRole('cp', 'wizard') }

  app.post('/api/v1/registrations', callers, async (request, reply) => {
    const parsed = newRegistration.safeParse(request.body)
    if (!parsed.success) {
      const fields = Object.fromEntries(
        parsed.error.issues.map((issue) => [issue.path.join('.') || '_', issue.message])
      )
      throw new AppError('invalid-input', Object.values(fields).join(' '), { fields })
    }
    const { deviceName, hours, by } = parsed.data
    const createdBy = by ?? roleOf(request) ?? 'unknown'
    return reply.code(201).send(await registrations.create({ deviceName, hours, createdBy }))
  })

  app.get('/api/v1/registrations', callers, async () => ({ registrations: await registrations.list() }))

  app.get('/api/v1/devices', callers, async () => {
    const [rows] = await database.query<RowDataPacket[]>(
      `SELECT d.name, d.created_at, c.serial, c.not_after, c.state FROM devices d
       LEFT JOIN certificates c ON c.device_id = d.id AND c.state = 'issued' WHERE d.tenant = ? ORDER BY d.created_at DESC LIMIT 500`,
      [tenant]
    )
    return {
      devices: rows.map((row) => ({
        name: row.name,
        enrolledAt: row.created_at,
        serial: row.serial,
        notAfter: row.not_after,
        state: row.state
      }))
    }
  })
}
