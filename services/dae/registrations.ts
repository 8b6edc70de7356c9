/** A registration is the right of one device to enrol once, with a one-time secret of which only a SHA-256 is kept. */
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { retryDeadlock, utcNow } from '../../lib/database/pool.ts'
import { iso, isoOrNull } from '../../lib/database/rows.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { refuseWithoutPlace } from './licensed-places.ts'

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
  /** Used ones too: see `usedAt`. Null for a wrong name, a wrong secret and an expired one alike. */
  readonly find: (deviceName: string, secret: string) => Promise<Registration | null>
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
      await refuseWithoutPlace(database, tenant, deviceName)
      await retryDeadlock(() => write(database, tenant, row, hashOf(secret)))
      try {
        await refuseWithoutPlace(database, tenant, deviceName)
      } catch (thrown) {
        await database.query('DELETE FROM registrations WHERE id = ?', [row.id])
        throw thrown
      }
      return { ...row, secret }
    },
    list: async () => {
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT * FROM registrations WHERE tenant = ? ORDER BY created_at DESC LIMIT 500',
        [tenant]
      )
      return rows.map(registrationOf)
    },
    find: async (deviceName, secret) => {
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT * FROM registrations WHERE tenant = ? AND device_name = ?',
        [tenant, deviceName]
      )
      const [row] = rows
      const expected = row === undefined ? Buffer.alloc(32) : (row.secret_hash as Buffer)
      const right = timingSafeEqual(expected, hashOf(secret))
      if (row === undefined || !right) return null
      const registration = registrationOf(row)
      return new Date(registration.expiresAt) > new Date() ? registration : null
    }
  }
}

/**
 * In the place of an unused one, or as a new one; single statements, so that writers of neighbouring names never lock each
 * other out. An enrolment on its way with the old secret finds its registration gone.
 */
async function write(database: Pool, tenant: string, row: Registration, hash: Buffer): Promise<void> {
  const { id, deviceName, createdBy } = row
  const times = [utcNow(new Date(row.createdAt)), utcNow(new Date(row.expiresAt))]
  const replace = async () => {
    const [replaced] = await database.query<ResultSetHeader>(
      `UPDATE registrations SET id = ?, secret_hash = ?, created_by = ?, created_at = ?, expires_at = ?,
       claimed_by = NULL, claimed_until = NULL WHERE tenant = ? AND device_name = ? AND used_at IS NULL`,
      [id, hash, createdBy, ...times, tenant, deviceName]
    )
    return replaced.affectedRows === 1
  }
  const insert = async () => {
    const [inserted] = await database.query<ResultSetHeader>(
      `INSERT IGNORE INTO registrations (id, secret_hash, created_by, created_at, expires_at, tenant, device_name)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      [id, hash, createdBy, ...times, tenant, deviceName]
    )
    return inserted.affectedRows === 1
  }
  // The last one is for a rival who wrote the same name between the first two.
  if ((await replace()) || (await insert()) || (await replace())) return
  throw new AppError('conflict', `${deviceName} has enrolled already.`, {
    fields: { deviceName: 'Choose another name.' }
  })
}

function registrationOf(row: RowDataPacket): Registration {
  return {
    id: String(row.id),
    deviceName: String(row.device_name),
    createdBy: String(row.created_by),
    createdAt: iso(row.created_at),
    expiresAt: iso(row.expires_at),
    usedAt: isoOrNull(row.used_at)
  }
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
