/** Table key_rotations: what is under way, and how far. */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import type { KeyRotation } from '../../lib/kms-client/kms-client.ts'
import type { RingKey } from './key-table.ts'

/** `lastRow`: id of the data key up to which this pass came. */
export type StoredRotation = KeyRotation & { readonly lastRow: string }
export type Progress = Pick<StoredRotation, 'state' | 'rewrapped' | 'unreadable' | 'lastRow'>

type Database = Pick<Pool, 'query'>

export async function findRotation(
  database: Database,
  where: Readonly<Record<string, string>>,
  lock: 'FOR UPDATE' | '' = ''
): Promise<StoredRotation | null> {
  const condition = Object.keys(where).map((column) => `${column} = ?`)
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT id, purpose, tenant, from_key, to_key, state, total, rewrapped, unreadable, last_row
     FROM key_rotations WHERE ${condition.join(' AND ')} LIMIT 1 ${lock}`,
    Object.values(where)
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    id: row.id,
    purpose: row.purpose,
    tenant: row.tenant === '' ? null : row.tenant,
    fromKey: row.from_key,
    toKey: row.to_key,
    state: row.state,
    total: Number(row.total),
    rewrapped: Number(row.rewrapped),
    unreadable: Number(row.unreadable),
    lastRow: row.last_row
  }
}

export async function startRotation(
  database: Database,
  { id, from, to, total }: { readonly id: string; readonly from: RingKey; readonly to: RingKey; readonly total: number }
): Promise<void> {
  await database.query(
    `INSERT INTO key_rotations (id, purpose, tenant, from_key, to_key, state, total, started_at)
     VALUES (?, ?, ?, ?, ?, 'rewrapping', ?, ?)`,
    [id, to.purpose, to.tenant ?? '', from.id, to.id, total, utcNow()]
  )
}

export async function saveProgress(
  database: Database,
  rotation: StoredRotation,
  { state, rewrapped, unreadable, lastRow }: Progress
): Promise<StoredRotation> {
  await database.query(
    'UPDATE key_rotations SET state = ?, rewrapped = ?, unreadable = ?, last_row = ?, finished_at = ? WHERE id = ?',
    [state, rewrapped, unreadable, lastRow, state === 'done' ? utcNow() : null, rotation.id]
  )
  return { ...rotation, state, rewrapped, unreadable, lastRow }
}

/** Condition on data_keys: some layer names one of these keys. Their ids are random and found nowhere else. */
export function namedBy(keys: readonly string[]): string {
  const named = keys.filter((key) => /^[0-9a-f]{32}$/.test(key)).map((key) => `CAST(wrapped AS CHAR) LIKE '%${key}%'`)
  return named.length === 0 ? 'FALSE' : `(${named.join(' OR ')})`
}
