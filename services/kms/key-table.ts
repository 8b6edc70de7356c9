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

/** The intent is on disk before the token is asked; of two at once one row stays. */
export async function intendKey(database: Pool, purpose: string, tenant: string, algorithm: string): Promise<void> {
  const values = [
    randomBytes(16).toString('hex'),
    purpose,
    tenant,
    algorithm,
    `keyscaler ${purpose} ${tenant}`.slice(0, 64)
  ]
  await database
    .execute(
      `INSERT INTO kms_keys (id, purpose, tenant, algorithm, label, state, created_at)
       VALUES (?, ?, ?, ?, ?, 'intent', ?) ON DUPLICATE KEY UPDATE id = id`,
      [...values, utcNow()]
    )
    .catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
}

type KeyRow = RowDataPacket & {
  id: string
  purpose: KmsKey['purpose']
  tenant: string
  algorithm: KeyAlgorithm
  label: string
  state: KmsKey['state']
  public_key: Buffer | null
  certificate: Buffer | null
}

export async function selectKeys(
  from: Pool | PoolConnection,
  where: Record<string, string>,
  lock: 'FOR UPDATE' | '' = ''
): Promise<RingKey[]> {
  const columns = Object.keys(where)
  const condition = columns.map((column) => `${column} = ?`).join(' AND ') || 'TRUE'
  const [rows] = await from
    .execute<KeyRow[]>(
      `SELECT id, purpose, tenant, algorithm, label, state, public_key, certificate
       FROM kms_keys WHERE ${condition} ORDER BY created_at, id ${lock}`,
      Object.values(where)
    )
    .catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
  return rows.map(({ public_key: publicKey, certificate, id, purpose, tenant, algorithm, label, state }) => ({
    id,
    purpose,
    algorithm,
    label,
    tenant: tenant === '' ? null : tenant,
    state,
    publicKey,
    certificate
  }))
}
