/** The licence's device limit counts devices and open registrations; one that expired unused gives its place back. */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'

/**
 * Asked before a registration is written, and again after: of two that take the last place at once, the one that was
 * written last sees the other. (A lock on the licence would need the right to change it: MySQL's FOR UPDATE.)
 * @throws AppError forbidden when the others fill the licence, or there is no valid one
 */
export async function refuseWithoutPlace(database: Pool, tenant: string, deviceName: string): Promise<void> {
  const now = utcNow()
  const [licenses] = await database.query<RowDataPacket[]>(
    'SELECT MAX(device_limit) AS places FROM licenses WHERE not_after > ?',
    [now]
  )
  const limit = Number(licenses[0]?.places ?? 0)
  if (limit === 0) throw new AppError('forbidden', 'There is no valid license.', { cure: 'Install a current license.' })
  const [others] = await database.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS taken FROM registrations
     WHERE (used_at IS NOT NULL OR expires_at > ?) AND NOT (tenant = ? AND device_name = ?)`,
    [now, tenant, deviceName]
  )
  if (Number(others[0]?.taken) < limit) return
  throw new AppError('forbidden', `The license allows ${limit} devices, and all places are taken.`, {
    cure: 'Install a license for more devices.'
  })
}
