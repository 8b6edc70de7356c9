/** Data keys at rest: wrapped in data_keys, one a context, opened by the KMS. */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../database/pool.ts'
import { jsonColumn } from '../database/rows.ts'
import { AppError } from '../errors/app-error.ts'
import type { KmsClient, StoredDataKey } from './kms-client.ts'

/**
 * The data key of a context, made when there is none (two that make it at once end with the same).
 * @param tenant whose key protects it too; absent: the master key alone
 * @returns 32 bytes
 */
export async function openDataKey(
  database: Pick<Pool, 'query'>,
  kms: Pick<KmsClient, 'newDataKey' | 'unwrapDataKey'>,
  context: string,
  tenant?: string
): Promise<Buffer> {
  const known = await wrappedKey(database, context)
  if (known !== null) return kms.unwrapDataKey(known, context, tenant)
  const fresh = await kms.newDataKey(context, tenant)
  await database.query(
    'INSERT INTO data_keys (id, context, wrapped, created_at) VALUES (UUID(), ?, ?, ?) ON DUPLICATE KEY UPDATE id = id',
    [context, JSON.stringify(fresh.wrapped), utcNow()]
  )
  const stored = await wrappedKey(database, context)
  if (stored === null) throw new AppError('internal', `The data key for ${context} was not stored.`)
  return kms.unwrapDataKey(stored, context, tenant)
}

async function wrappedKey(database: Pick<Pool, 'query'>, context: string): Promise<StoredDataKey | null> {
  const [rows] = await database.query<RowDataPacket[]>('SELECT wrapped FROM data_keys WHERE context = ?', [context])
  const wrapped: unknown = rows[0]?.wrapped
  if (wrapped === undefined) return null
  return jsonColumn<StoredDataKey>(wrapped)
}
