/**
 * What a destroy would come to, before it is begun: what goes, what stays and why, and what nobody could read any more
 * because its keys go and it stays. Changes nothing.
 */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { AppError } from '../../lib/errors/app-error.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { EffectKind } from '../steps/apply-context.ts'
import type { ConfirmedNames } from '../steps/undo-context.ts'
import { leftBecause, wasThere } from './destroy-record.ts'
import { destroyRows, type Gone } from './destroy-rows.ts'
import type { Install } from './install.ts'

export interface ForecastRow {
  readonly step: string
  readonly kind: EffectKind
  readonly name: string
  readonly ours: boolean
  /** Null: it goes. */
  readonly stays: string | null
}

export interface DestroyForecast {
  readonly rows: readonly ForecastRow[]
  /** Keys would be destroyed and the database that they open be left: null when not. */
  readonly unreadable: { readonly database: string; readonly say: string } | null
}

const inToken: ReadonlySet<string> = new Set<EffectKind>(['key', 'certificate-authority', 'key-store'])
const inDatabase: ReadonlySet<string> = new Set<EffectKind>(['migration', 'schema'])

/**
 * What is there to take away, in the order in which it would be, after what a destroy that was killed has done already.
 * @throws AppError database-unavailable, invalid-input as destroyRows
 */
export async function destroyForecast(
  install: Install,
  confirmed: ConfirmedNames,
  gone: Gone
): Promise<DestroyForecast> {
  const pending = (await destroyRows(install, gone)).filter((row) => row.outcome === null || leftBecause(row) !== null)
  const token = (await readKeyStoreRecord(install.stateDir))?.label ?? null
  const keysGo = token !== null && confirmed.keys === token
  const asks = pending.some(({ kind, outcome }) => outcome === null && (inToken.has(kind) || inDatabase.has(kind)))
  const held = asks ? await heldDatabase(install.database()) : null
  const databaseStays = held !== null && held.devices > 0 && confirmed.database !== held.name
  const staysBecause = (kind: string): string | null => {
    if (inToken.has(kind) && token !== null && !keysGo) return `destroyed only with --delete-keys "${token}"`
    if (inDatabase.has(kind) && databaseStays)
      return `${held.devices} devices are enrolled in it: dropped only with --delete-database ${held.name}`
    return null
  }
  const rows = pending.map((row) => {
    const { step, kind, name } = row
    const left = leftBecause(row)
    if (left === wasThere.left) return { step, kind, name, ours: false, stays: 'was there before' }
    return { step, kind, name, ours: true, stays: left ?? staysBecause(kind) }
  })
  const keysWillGo = rows.some(({ kind, stays }) => inToken.has(kind) && stays === null)
  if (!keysGo || !databaseStays || !keysWillGo) return { rows, unreadable: null }
  return { rows, unreadable: { database: held.name, say: unreadableWords(held, token) } }
}

/**
 * A name that is not the one would be taken for none at all, and what it was meant for stay behind.
 * @throws AppError invalid-input with the right one
 */
export async function refuseOtherNames(install: Install, confirmed: ConfirmedNames): Promise<void> {
  const token = (await readKeyStoreRecord(install.stateDir))?.label
  const database = (await install.storedAnswers('database'))?.values.dbName
  const named = [
    ['--delete-keys', confirmed.keys, token, 'its keys are in'],
    ['--delete-database', confirmed.database, database, 'its database is'],
    ['--leave-unreadable', confirmed.unreadable, database, 'its database is']
  ] as const
  for (const [option, typed, right, words] of named) {
    if (typed === undefined || right === undefined || typed === right) continue
    throw new AppError('invalid-input', `${option} "${typed}" is not of this install: ${words} "${right}".`, {
      cure: `Nothing was taken away. Give ${option} "${right}", or leave it out.`
    })
  }
}

/**
 * Keys are gone for good, and so is what they protect: that a database is left without them is asked for by its name.
 * @throws AppError conflict with the ways out
 */
export function refuseUnreadable({ unreadable }: DestroyForecast, confirmed: ConfirmedNames): void {
  if (unreadable === null || confirmed.unreadable === unreadable.database) return
  const { database, say } = unreadable
  throw new AppError('conflict', say, {
    cure: `Take the database along (--delete-database ${database}), leave its keys (no --delete-keys), or say that it may be left without them (--leave-unreadable ${database}).`
  })
}

interface HeldDatabase {
  readonly name: string
  readonly devices: number
  readonly dataKeys: number
  readonly authorities: number
}

function unreadableWords({ name, devices, dataKeys, authorities }: HeldDatabase, token: string): string {
  return [
    `The keys in "${token}" open what is in the database ${name}, which would be left: ${devices} devices are enrolled in it.`,
    `All that is sealed under its ${dataKeys} data keys (secrets of API callers, passwords that were typed) would be unreadable for good;`,
    `its ${authorities} certificate authorities could issue and renew nothing any more (certificates of devices stay valid until they expire);`,
    'no backup of this install could be restored.'
  ].join(' ')
}

/** Null: no database, or one that a destroy which was cut off has dropped. */
async function heldDatabase(pool: Pool | null): Promise<HeldDatabase | null> {
  if (pool === null) return null
  const tables = await tablesIn(pool)
  if (tables === null) return null
  const there = new Set(tables.map(({ name }) => String(name)))
  const count = async (table: string) => {
    if (!there.has(table)) return 0
    const [[row]] = await pool.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM ??', [table])
    return Number(row?.n ?? 0)
  }
  const [[database]] = await pool.query<RowDataPacket[]>('SELECT DATABASE() AS name')
  return {
    name: String(database?.name),
    devices: await count('devices'),
    dataKeys: await count('data_keys'),
    authorities: await count('certificate_authorities')
  }
}

async function tablesIn(pool: Pool): Promise<RowDataPacket[] | null> {
  try {
    const [tables] = await pool.query<RowDataPacket[]>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()'
    )
    return tables
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_BAD_DB_ERROR') return null
    throw thrown
  }
}
