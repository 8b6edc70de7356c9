/**
 * A registration is the right of one device to enrol once, with a one-time secret of which only a SHA-256 is kept. The
 * licence's device limit counts registrations.
 */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'

export interface Registration {
  readonly id: string
  readonly deviceName: string
  readonly createdBy: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly usedAt: string | null
}

export interface NewRegistration {
  readonly deviceName: string
  /** Hours until the secret is void. */
  readonly hours: number
  readonly createdBy: string
}

export interface Registrations {
  /**
   * One that was never used is replaced: its old secret is void.
   * @returns with the one-time secret, which is not kept
   * @throws AppError conflict when the device has enrolled, forbidden when the licence has no room or none is valid
   */
  readonly create: (wanted: NewRegistration) => Promise<Registration & { readonly secret: string }>
  readonly list: () => Promise<readonly Registration[]>
  /** Null for a wrong name, a wrong secret, a used or expired one alike. */
  readonly authenticate: (deviceName: string, secret: string) => Promise<Registration | null>
}

/** Also the certificate's common name. */
export const deviceNamePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/

export function openRegistrations(database: Pool, tenant: string): Registrations {
  return {
    create: async ({ deviceName, hours, createdBy }) => {
      const secret = randomBytes(24).toString('base64url')
      const now = new Date()
      const row: Registration = {
        id: randomUUID(),
        deviceName,
        createdBy,
        createdAt: now.toISOString(),
        expiresAt: new Date(now.getTime() + hours * 3_600_000).toISOString(),
        usedAt: null
      }
      await withTransaction(database, async (connection) => {
        await makeRoom(connection, tenant, deviceName)
        await connection.query(
          `INSERT INTO registrations (id, tenant, device_name, secret_hash, created_by, created_at, expires_at)
           VALUES (?, ?, ?, ?, ?, ?, ?)`,
          [row.id, tenant, deviceName, hashOf(secret), createdBy, utcNow(now), utcNow(new Date(row.expiresAt))]
        )
      })
      return { ...row, secret }
    },
    list: async () => {
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT * FROM registrations WHERE tenant = ? ORDER BY created_at DESC LIMIT 500',
        [tenant]
      )
      return rows.map(registrationOf)
    },
    authenticate: async (deviceName, secret) => {
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT * FROM registrations WHERE tenant = ? AND device_name = ?',
        [tenant, deviceName]
      )
      const [row] = rows
      const expected = row === undefined ? Buffer.alloc(32) : (row.secret_hash as Buffer)
      const right = timingSafeEqual(expected, hashOf(secret))
      if (row === undefined || !right) return null
      const registration = registrationOf(row)
      return registration.usedAt === null && new Date(registration.expiresAt) > new Date() ? registration : null
    }
  }
}

/** Under the tenant's row lock, so that two at once cannot both take the last place of the licence. */
async function makeRoom(connection: PoolConnection, tenant: string, deviceName: string): Promise<void> {
  const [licenses] = await connection.query<RowDataPacket[]>(
    'SELECT device_limit FROM licenses WHERE not_after > ? ORDER BY device_limit DESC LIMIT 1 FOR UPDATE',
    [utcNow()]
  )
  const limit = Number(licenses[0]?.device_limit ?? 0)
  if (limit === 0) throw new AppError('forbidden', 'There is no valid license.', { cure: 'Install a current license.' })
  const [known] = await connection.query<RowDataPacket[]>(
    'SELECT id, used_at FROM registrations WHERE tenant = ? AND device_name = ? FOR UPDATE',
    [tenant, deviceName]
  )
  if (known[0] !== undefined) {
    if (known[0].used_at !== null) {
      throw new AppError('conflict', `${deviceName} has enrolled already.`, {
        fields: { deviceName: 'Choose another name.' }
      })
    }
    await connection.query('DELETE FROM registrations WHERE id = ?', [known[0].id])
  }
  const [counted] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS taken FROM registrations')
  if (Number(counted[0]?.taken) < limit) return
  throw new AppError('forbidden', `The license allows ${limit} devices, and all places are taken.`, {
    cure: 'Install a license for more devices.'
  })
}

function registrationOf(row: RowDataPacket): Registration {
  return {
    id: String(row.id),
    deviceName: String(row.device_name),
    createdBy: String(row.created_by),
    createdAt: iso(row.created_at),
    expiresAt: iso(row.expires_at),
    usedAt: row.used_at === null ? null : iso(row.used_at)
  }
}

function iso(datetime: unknown): string {
  return `${String(datetime).replace(' ', 'T')}Z`
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
