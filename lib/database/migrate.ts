/**
 * Forward-only migrations: one statement a file, each restartable, a checksum kept for each that ran. A lock row (not
 * GET_LOCK, which Galera does not support) lets one migrate at a time; a dead holder's lock ends with its connection.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { AppError } from '../errors/app-error.ts'
import { utcNow } from './pool.ts'

/**
 * @returns names of the files that were applied now
 * @throws AppError conflict when an applied file has changed since
 */
export async function migrate(
  pool: Pool,
  folder: string,
  report: (file: string) => void = () => {}
): Promise<string[]> {
  const files = await readMigrations(folder)
  const rows = await appliedBefore(pool)
  if (rows !== null && pendingOf(files, rows).length === 0) return []
  await pool.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
    name VARCHAR(128) NOT NULL PRIMARY KEY, checksum CHAR(64) NOT NULL, applied_at DATETIME(3) NOT NULL) ENGINE = InnoDB`)
  await pool.query('CREATE TABLE IF NOT EXISTS schema_lock (id TINYINT NOT NULL PRIMARY KEY) ENGINE = InnoDB')
  await pool.query('INSERT IGNORE INTO schema_lock (id) VALUES (1)')
  const lock = await pool.getConnection()
  try {
    await lock.beginTransaction()
    await lock.query('SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE')
    return await applyPending(pool, files, report)
  } finally {
    await lock.rollback().catch(() => lock.destroy())
    lock.release()
  }
}

interface Migration {
  readonly name: string
  readonly sql: string
  /** SHA-256, hex. */
  readonly checksum: string
}

/** In the order of their names. */
async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(folder, name), 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    })
  )
}

type AppliedRow = RowDataPacket & { readonly name: string; readonly checksum: string }

const appliedSql = 'SELECT name, checksum FROM schema_migrations'

/** What every start asks, before it takes a lock for nothing. Null: nothing was ever migrated here. */
async function appliedBefore(pool: Pool): Promise<readonly AppliedRow[] | null> {
  try {
    return (await pool.query<AppliedRow[]>(appliedSql))[0]
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_NO_SUCH_TABLE') return null
    throw thrown
  }
}

/** @throws AppError conflict when an applied file has changed since */
function pendingOf(files: readonly Migration[], rows: readonly AppliedRow[]): readonly Migration[] {
  const applied = new Map(rows.map(({ name, checksum }) => [name, checksum]))
  for (const { name, checksum } of files) {
    if ((applied.get(name) ?? checksum) === checksum) continue
    throw new AppError('conflict', `Migration ${name} was changed after it had been applied.`, {
      cure: 'Restore the file; put the change into a new migration.'
    })
  }
  return files.filter(({ name }) => !applied.has(name))
}

async function applyPending(
  pool: Pool,
  files: readonly Migration[],
  report: (file: string) => void
): Promise<string[]> {
  // Again, now that nobody else migrates.
  const [rows] = await pool.query<AppliedRow[]>(appliedSql)
  const pending = pendingOf(files, rows)
  for (const { name, sql, checksum } of pending) {
    report(name)
    await pool.query(sql).catch(ignoreWhatIsThere)
    await pool.query('INSERT INTO schema_migrations (name, checksum, applied_at) VALUES (?, ?, ?)', [
      name,
      checksum,
      utcNow()
    ])
  }
  return pending.map(({ name }) => name)
}

/**
 * MySQL has no ADD COLUMN IF NOT EXISTS. A file is one statement, which is made whole or not at all: when a kill came
 * between it and its row in schema_migrations, "exists already" means that it is done.
 */
const madeAlready = new Set(['ER_DUP_FIELDNAME', 'ER_DUP_KEYNAME', 'ER_CANT_DROP_FIELD_OR_KEY'])

function ignoreWhatIsThere(thrown: unknown): void {
  if (thrown instanceof Error && 'code' in thrown && madeAlready.has(String(thrown.code))) return
  throw thrown
}
