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
  await pool.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
    name VARCHAR(128) NOT NULL PRIMARY KEY, checksum CHAR(64) NOT NULL, applied_at DATETIME(3) NOT NULL) ENGINE = InnoDB`)
  await pool.query('CREATE TABLE IF NOT EXISTS schema_lock (id TINYINT NOT NULL PRIMARY KEY) ENGINE = InnoDB')
  await pool.query('INSERT IGNORE INTO schema_lock (id) VALUES (1)')
  const lock = await pool.getConnection()
  try {
    await lock.beginTransaction()
    await lock.query('SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE')
    return await applyPending(pool, folder, report)
  } finally {
    await lock.rollback().catch(() => lock.destroy())
    lock.release()
  }
}

async function applyPending(pool: Pool, folder: string, report: (file: string) => void): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const sql = new Map<string, string>()
  for (const name of files) sql.set(name, await readFile(join(folder, name), 'utf8'))
  const checksums = new Map([...sql].map(([name, text]) => [name, createHash('sha256').update(text).digest('hex')]))

  const [rows] = await pool.query<RowDataPacket[]>('SELECT name, checksum FROM schema_migrations')
  for (const row of rows) {
    const known = checksums.get(String(row.name))
    if (known !== undefined && known !== row.checksum) {
      throw new AppError('conflict', `Migration ${row.name} was changed after it had been applied.`, {
        cure: 'Restore the file; put the change into a new migration.'
      })
    }
  }

  const applied = new Set(rows.map((row) => String(row.name)))
  const pending = files.filter((name) => !applied.has(name))
  for (const name of pending) {
    report(name)
    await pool.query(sql.get(name) ?? '').catch(ignoreWhatIsThere)
    await pool.query('INSERT INTO schema_migrations (name, checksum, applied_at) VALUES (?, ?, ?)', [
      name,
      checksums.get(name),
      utcNow()
    ])
  }
  return pending
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
