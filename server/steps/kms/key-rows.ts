/**
 * The rows of kms_keys that exist before the KMS does: master key and service CA. The id is on disk before the token is
 * asked, so a kill between the two finds the same key again: there is never a second one (security.md F07).
 */
import { randomBytes } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../../lib/database/pool.ts'
import type { KeyAlgorithm } from '../../../lib/keystore/keystore.ts'

export type OwnPurpose = 'master' | 'service-ca'

export interface KeyRow {
  /** CKA_ID, hex. */
  readonly id: string
  readonly algorithm: KeyAlgorithm
  readonly label: string
  readonly state: 'intent' | 'active'
  /** Of the master key; null where an older install did not keep it. */
  readonly checkValue: string | null
  /** DER. */
  readonly certificate: Buffer | null
}

type Row = RowDataPacket & KeyRow

/** The active version, or the first one in the making. */
export async function findKeyRow(database: Pool, purpose: OwnPurpose): Promise<KeyRow | null> {
  const [rows] = await database.execute<Row[]>(
    `SELECT id, algorithm, label, state, certificate, check_value AS checkValue FROM kms_keys
     WHERE purpose = ? AND tenant = '' AND state IN ('active', 'intent') ORDER BY state = 'active' DESC, version`,
    [purpose]
  )
  return rows[0] ?? null
}

/** The row that there is, or a new intent; `isNew`: its id was drawn now, by us. */
export async function intendKey(
  database: Pool,
  purpose: OwnPurpose,
  wanted: { readonly algorithm: KeyAlgorithm; readonly label: string }
): Promise<KeyRow & { readonly isNew: boolean }> {
  const known = await findKeyRow(database, purpose)
  if (known !== null) return { ...known, isNew: false }
  const id = randomBytes(16).toString('hex')
  await database.execute(
    `INSERT IGNORE INTO kms_keys (id, purpose, algorithm, label, state, created_at) VALUES (?, ?, ?, ?, 'intent', ?)`,
    [id, purpose, wanted.algorithm, wanted.label, utcNow()]
  )
  const row = await findKeyRow(database, purpose)
  const intent = { id, ...wanted, state: 'intent', certificate: null, checkValue: null } as const
  return { ...(row ?? intent), isNew: row === null || row.id === id }
}

export async function activateKey(
  database: Pool,
  id: string,
  { publicKey, checkValue }: { readonly publicKey: Buffer | null; readonly checkValue: string | null }
): Promise<void> {
  await database.execute("UPDATE kms_keys SET state = 'active', public_key = ?, check_value = ? WHERE id = ?", [
    publicKey,
    checkValue,
    id
  ])
}

export async function keepCertificate(database: Pool, id: string, der: Buffer): Promise<void> {
  await database.execute('UPDATE kms_keys SET certificate = ? WHERE id = ?', [der, id])
}

/** Something was made with this install's keys that would be lost with them. */
export async function keysAreInUse(database: Pool): Promise<boolean> {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT 1 FROM data_keys UNION ALL SELECT 1 FROM certificate_authorities
     UNION ALL SELECT 1 FROM kms_keys WHERE purpose IN ('tenant', 'tenant-ca', 'signing') LIMIT 1`
  )
  return rows.length > 0
}

/** Only before anything was made with them: another key store was chosen. */
export async function forgetOwnKeys(database: Pool): Promise<void> {
  await database.query("DELETE FROM kms_keys WHERE purpose IN ('master', 'service-ca')")
}
