/**
 * A new version of the master key, or of a tenant's: active at once for what is new; what older versions wrapped is wrapped
 * anew in batches, each one transaction with its progress. Killed anywhere, every data key opens, because no key goes before
 * the last data key has left it; asked again, it goes on (security.md F27, docs/decisions/0015).
 */
import { randomUUID } from 'node:crypto'
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise'
import { asDatabaseError, retryDeadlock, withTransaction } from '../../lib/database/pool.ts'
import { jsonColumn } from '../../lib/database/rows.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRotation, StoredDataKey } from '../../lib/kms-client/kms-client.ts'
import { rewrap } from './envelope.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { RingKey } from './key-table.ts'
import {
  findRotation,
  namedBy,
  type Progress,
  type StoredRotation,
  saveProgress,
  startRotation
} from './rotation-table.ts'
import type { WrappingKeys } from './wrapping-keys.ts'

export interface KeyRotations {
  /** The rotation under way, or a new one. @throws AppError not-found when there is no such key */
  readonly begin: (purpose: 'master' | 'tenant', tenant: string | null) => Promise<KeyRotation>
  /** Re-wraps the next `most` data keys. @throws AppError not-found */
  readonly advance: (id: string, most: number) => Promise<KeyRotation>
}

/** A batch on a slow network HSM; the caller waits for longer. */
const batchMs = 40_000

interface Parts {
  readonly database: Pool
  readonly link: KeyStoreLink
  readonly ring: KeyRing
  readonly keys: WrappingKeys
  /** Told in time for the next opening of the key store, which proves the active one. */
  readonly masterReplaced: (key: RingKey) => void
}

export function openKeyRotations({ database, link, ring, keys, masterReplaced }: Parts): KeyRotations {
  const begin = async (purpose: 'master' | 'tenant', tenant: string | null): Promise<StoredRotation> => {
    // In this order: a rotation that another one begins after the first look is seen by the second, or makes `next` null.
    const current = await ring.active(purpose, tenant)
    const running = await findRotation(database, { purpose, tenant: tenant ?? '', state: 'rewrapping' })
    if (running !== null) return running
    const begun = await ring.next(current, async (next, connection) => {
      const older = await olderVersions(connection, next)
      const id = randomUUID()
      await startRotation(connection, { id, from: current, to: next, total: await countNamed(connection, older) })
      return { id, next }
    })
    if (begun !== null && purpose === 'master') masterReplaced(begun.next)
    const rotation = begun === null ? null : await findRotation(database, { id: begun.id })
    // Of two that begin at once, the other one did it.
    return rotation ?? begin(purpose, tenant)
  }

  const advance = (id: string, most: number): Promise<StoredRotation> =>
    withTransaction(database, async (connection) => {
      const rotation = await findRotation(connection, { id }, 'FOR UPDATE')
      if (rotation === null) throw new AppError('not-found', 'There is no such rotation.')
      if (rotation.state === 'done') return rotation
      const older = await olderVersions(connection, rotation)
      const [rows] = await connection.query<DataKeyRow[]>(
        `SELECT id, context, wrapped FROM data_keys WHERE id > ? AND ${namedBy(older)} ORDER BY id LIMIT ? FOR UPDATE`,
        [rotation.lastRow, most]
      )
      const progress =
        rows.length === 0
          ? await endOfPass(connection, rotation, older)
          : await batch(connection, rows, new Set(older), rotation)
      return saveProgress(connection, rotation, progress)
    })

  async function batch(
    connection: PoolConnection,
    rows: readonly DataKeyRow[],
    older: ReadonlySet<string>,
    { rewrapped, unreadable }: Progress
  ): Promise<Progress> {
    const anew = await link.use((store) => {
      const find = keys.find(store)
      const active = async ({ purpose, tenant }: { purpose: string; tenant: string | null }) => {
        const [inner, outer] = await keys.active(tenant)
        const key = purpose === 'master' ? (outer ?? inner) : inner
        if (key === undefined) throw new AppError('internal', 'There is no active key.')
        return { ...key, store }
      }
      return Promise.all(
        rows.map(async ({ context, wrapped }) => {
          const stored = jsonColumn<StoredDataKey>(wrapped)
          const tenant = 'v' in stored ? stored.aad.tenant : null
          const aad = { table: 'data_keys', row: context, tenant } as const
          return rewrap(stored, aad, { isOld: (key) => older.has(key), find, active }).catch(unreadableOne)
        })
      )
    }, batchMs)
    for (const [index, wrapped] of anew.entries()) {
      if (wrapped === null) continue
      await connection.query('UPDATE data_keys SET wrapped = ? WHERE id = ?', [
        JSON.stringify(wrapped),
        rows[index]?.id
      ])
    }
    const done = anew.filter((wrapped) => wrapped !== null).length
    return {
      state: 'rewrapping',
      rewrapped: rewrapped + done,
      unreadable: unreadable + rows.length - done,
      lastRow: rows.at(-1)?.id ?? ''
    }
  }

  // One at a time in this process: who waits for a row's lock holds a connection, and the one who has it needs another.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work)
    last = mine.catch(() => {})
    return mine
  }
  const told = async (work: () => Promise<StoredRotation>): Promise<KeyRotation> => {
    const { lastRow, ...rotation } = await inTurn(() => retryDeadlock(work)).catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
    return rotation
  }
  return {
    begin: (purpose, tenant) => told(() => begin(purpose, tenant)),
    advance: (id, most) => told(() => advance(id, most))
  }
}

type DataKeyRow = RowDataPacket & { readonly id: string; readonly context: string; readonly wrapped: unknown }

/** Rows made behind our back by whoever had asked for their data key before the rotation: once more from the beginning. */
async function endOfPass(connection: PoolConnection, rotation: Progress, older: readonly string[]): Promise<Progress> {
  const left = await countNamed(connection, older)
  const done = left <= rotation.unreadable
  return done ? { ...rotation, state: 'done', unreadable: left } : { ...rotation, lastRow: '', unreadable: 0 }
}

export async function countNamed(connection: Pick<Pool, 'query'>, keys: readonly string[]): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM data_keys WHERE ${namedBy(keys)}`)
  return Number(rows[0]?.n ?? 0)
}

async function olderVersions(
  connection: PoolConnection,
  { purpose, tenant }: Pick<KeyRotation, 'purpose' | 'tenant'> | RingKey
): Promise<string[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT id FROM kms_keys WHERE purpose = ? AND tenant = ? AND state IN ('retired', 'destroyed')`,
    [purpose, tenant ?? '']
  )
  return rows.map((row) => String(row.id))
}

/** Changed bytes open never again; whatever else goes wrong ends the batch. */
function unreadableOne(thrown: unknown): null {
  if (thrown instanceof AppError && thrown.code === 'invalid-input') return null
  throw thrown
}
