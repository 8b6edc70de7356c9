/** Devices of the administrator's tenant and their certificates; anything of another tenant is not found. */
import { X509Certificate } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { z } from 'zod'
import { iso, isoOrNull } from '../../lib/database/rows.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { fingerprint } from '../../lib/x509/fingerprint.ts'
import { show } from './answer-form.ts'
import { sessionOf } from './session-guard.ts'

const pageSize = 100
const search = z.object({
  /** The beginning of a name. */
  name: z.string().max(64).default(''),
  /** The last name of the page before. */
  after: z.string().max(64).default('')
})

export function registerDevices(app: FastifyInstance, database: Pool): void {
  app.get('/devices', async (request, reply) => {
    const asked = search.safeParse(request.query)
    if (!asked.success) throw new AppError('invalid-input', 'A name has at most 64 characters, and is given once.')
    const { name, after } = asked.data
    const found = await listed(database, sessionOf(request).administrator.tenant, name, after)
    const devices = found.slice(0, pageSize)
    const next = found.length > pageSize ? (devices.at(-1)?.name ?? null) : null
    return show(request, reply, '/cp/devices.eta', { devices, name, after, next })
  })

  app.get<{ Params: { name: string } }>('/devices/:name', async (request, reply) => {
    const device = await find(database, sessionOf(request).administrator.tenant, request.params.name)
    return show(request, reply, '/cp/device.eta', { device, certificates: await certificatesOf(database, device.id) })
  })

  app.get<{ Params: { name: string; serial: string } }>(
    '/devices/:name/certificates/:serial.pem',
    async (request, reply) => {
      const device = await find(database, sessionOf(request).administrator.tenant, request.params.name)
      const certificates = await certificatesOf(database, device.id)
      const certificate = certificates.find(({ serial }) => serial === request.params.serial)
      if (certificate?.pem === undefined) throw new AppError('not-found', 'There is no such certificate.')
      return reply
        .type('application/x-pem-file')
        .header('content-disposition', `attachment; filename="${certificate.serial}.pem"`)
        .send(certificate.pem)
    }
  )
}

/** One more than a page shows, to know whether there is a next. In the order of the unique key (tenant, name). */
async function listed(database: Pool, tenant: string, name: string, after: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT d.name, d.created_at, COUNT(c.serial) AS certificates, MAX(c.not_after) AS not_after FROM devices d
     LEFT JOIN certificates c ON c.device_id = d.id AND c.state = 'issued'
     WHERE d.tenant = ? AND d.name > ? AND d.name LIKE ? GROUP BY d.name, d.created_at ORDER BY d.name LIMIT ?`,
    [tenant, after, `${name.replace(/[\\%_]/g, '\\$&')}%`, pageSize + 1]
  )
  return rows.map((row) => ({
    name: String(row.name),
    enrolledAt: iso(row.created_at),
    certificates: Number(row.certificates),
    notAfter: isoOrNull(row.not_after)
  }))
}

async function find(database: Pool, tenant: string, name: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    'SELECT id, name, registration_id, created_at FROM devices WHERE tenant = ? AND name = ?',
    [tenant, name]
  )
  const [row] = rows
  if (row === undefined) throw new AppError('not-found', 'There is no such device.')
  return {
    id: String(row.id),
    name: String(row.name),
    registration: String(row.registration_id),
    enrolledAt: iso(row.created_at)
  }
}

async function certificatesOf(database: Pool, device: string) {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT serial, not_before, not_after, state, certificate, created_at FROM certificates
     WHERE device_id = ? ORDER BY created_at DESC, serial`,
    [device]
  )
  return rows.map((row) => {
    const certificate = row.certificate === null ? undefined : new X509Certificate(row.certificate as Buffer)
    return {
      serial: String(row.serial),
      state: stateOf(row),
      notBefore: isoOrNull(row.not_before),
      notAfter: isoOrNull(row.not_after),
      fingerprint: certificate === undefined ? null : fingerprint(certificate),
      ...(certificate === undefined ? {} : { pem: certificate.toString() })
    }
  })
}

type CertificateState = 'valid' | 'not-yet-valid' | 'expired' | 'superseded' | 'reserved' | 'discarded'

/** What is on record, and for an issued one what the clock makes of it. */
function stateOf(row: RowDataPacket): CertificateState {
  if (row.state === 'superseded' && Date.now() <= Date.parse(iso(row.not_after))) return 'superseded'
  if (row.state !== 'issued' && row.state !== 'superseded') return row.state === 'reserved' ? 'reserved' : 'discarded'
  const now = Date.now()
  if (now < Date.parse(iso(row.not_before))) return 'not-yet-valid'
  return now > Date.parse(iso(row.not_after)) ? 'expired' : 'valid'
}
