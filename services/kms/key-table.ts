/** Table kms_keys, read and written in one place; driver errors become database-unavailable here. */
import { randomBytes } from 'node:crypto'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import { asDatabaseError, utcNow } from '../../lib/database/pool.ts'
import type { KeyAlgorithm } from '../../lib/keystore/keystore.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'

export interface RingKey extends KmsKey {
  readonly algorithm: KeyAlgorithm
  /** SubjectPublicKeyInfo, DER; null for the secret ones. */
  readonly publicKey: Buffer | null
  /** The CA's certificate, DER; null until it is made. */
  readonly certificate: Buffer | null
}

/**
 * The intent is on disk before the token is asked; of two at once one row stays.
 * @returns the id that was drawn: the row that stays has it, or an older one
 */
export async function intendKey(
  database: Pool,
  key: { readonly purpose: string; readonly tenant: string; readonly algorithm: string; readonly version?: number },
  label = `keyscaler ${key.purpose} ${key.tenant}`
): Promise<string> {
  const { purpose, tenant, algorithm, version = 1 } = key
  const id = randomBytes(16).toString('hex')
  const values = [id, purpose, tenant, version, algorithm, label.slice(0, 64)]
  await database
    .execute(
      `INSERT INTO kms_keys (id, purpose, tenant, version, algorithm, label, state, created_at)
       VALUES (?, ?, ?, ?, ?, ?, 'intent', ?) ON DUPLICATE KEY UPDATE id = id`,
      [...values, utcNow()]
    )
    .catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
  return id
}

/** The token has it and it is proved: from now on it is used. */
export async function activateKey(
  database: Pick<Pool, 'execute'>,
  id: string,
  { publicKey, checkValue }: Pick<RingKey, 'publicKey' | 'checkValue'>
): Promise<void> {
  await database.execute(`UPDATE kms_keys SET state = 'active', public_key = ?, check_value = ? WHERE id = ?`, [
    publicKey,
    checkValue,
    id
  ])
}

type KeyRow = RowDataPacket & {
  id: string
  purpose: KmsKey['purpose']
  tenant: string
  algorithm: KeyAlgorithm
  label: string
  state: KmsKey['state']
  version: number
  check_value: string | null
  public_key: Buffer | null
  certificate: Buffer | null
}

/** The one in use first, then the one in the making, then older versions. */
export async function selectKeys(
  from: Pick<Pool | PoolConnection, 'execute'>,
  where: Record<string, string>,
  lock: 'FOR UPDATE' | '' = ''
): Promise<RingKey[]> {
  const columns = Object.keys(where)
  const condition = columns.map((column) => `${column} = ?`).join(' AND ') || 'TRUE'
  const [rows] = await from
    .execute<KeyRow[]>(
      `SELECT id, purpose, tenant, algorithm, label, state, version, check_value, public_key, certificate
       FROM kms_keys WHERE ${condition}
       ORDER BY FIELD(state, 'active', 'intent', 'retired', 'destroyed'), created_at, id ${lock}`,
      Object.values(where)
    )
    .catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
  return rows.map(({ public_key: publicKey, check_value: checkValue, tenant, ...row }) => ({
    id: row.id,
    purpose: row.purpose,
    algorithm: row.algorithm,
    label: row.label,
    tenant: tenant === '' ? null : tenant,
    state: row.state,
    version: row.version,
    checkValue,
    publicKey,
    certificate: row.certificate
  }))
}
