/**
 * What an account may do, by doing it: a scratch table and a scratch user, both removed again. A list of grants would
 * not show roles, read-only servers, proxies or full disks.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { newServicePassword } from '../../lib/database/service-password.ts'

export interface RightsSeen {
  /** In the words of GRANT: "CREATE", "CREATE USER", …; empty: everything that is needed. */
  readonly missing: readonly string[]
  /** Why, when it is no matter of rights: "The server is read-only." */
  readonly other: string | null
}

const denied = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_CANNOT_USER',
  'ER_KILL_DENIED_ERROR'
])

export const scratchPrefix = 'keyscaler_check_'

/** What the names of scratch things begin with, for the schema that is wanted; at most 31 characters with what follows. */
function scratchOf(wanted: string): string {
  return `${scratchPrefix}${createHash('sha256').update(wanted).digest('hex').slice(0, 6)}_`
}

/**
 * Removes what checks that were killed have left of their scratch tables, schemas and users for this schema. Only while no
 * other check for it is running. Users are removed where the account may look for them.
 */
export async function sweepScratch(connection: Pick<Connection, 'query'>, wanted: string): Promise<void> {
  const like = `${scratchOf(wanted).replaceAll('_', '\\_')}%`
  const [tables] = await connection.query<RowDataPacket[]>(
    'SELECT table_schema AS place, table_name AS name FROM information_schema.tables WHERE table_name LIKE ?',
    [like]
  )
  for (const { place, name } of tables) await connection.query(`DROP TABLE IF EXISTS \`${place}\`.\`${name}\``)
  const [schemas] = await connection.query<RowDataPacket[]>(
    'SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE ?',
    [like]
  )
  for (const { name } of schemas) await connection.query(`DROP DATABASE IF EXISTS \`${name}\``)
  const [users] = await connection
    .query<RowDataPacket[]>('SELECT user AS name, host AS place FROM mysql.user WHERE user LIKE ?', [like])
    .catch((thrown) => {
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
      if (denied.has(code)) return [[]]
      throw thrown
    })
  for (const { name, place } of users) await connection.query('DROP USER IF EXISTS ?@?', [name, place])
}

/** @param schema exists; when null, one is made for the proof, under a scratch name where the account may, and dropped. */
export async function proveRights(connection: Connection, schema: string | null, wanted: string): Promise<RightsSeen> {
  const proof = new Proof(connection)
  const scratch = `${scratchOf(wanted)}${randomBytes(4).toString('hex')}`
  if (schema !== null) {
    await proveTable(proof, schema, scratch)
    return proof.seen()
  }
  const made = await makeSchema(connection, [scratch, wanted])
  if (made === null) return { missing: [`CREATE on ${wanted}.*`], other: null }
  try {
    await proveTable(proof, made, scratch)
  } finally {
    await dropEmptySchema(connection, made)
  }
  return proof.seen()
}

/** Keeps going after a refusal, so that all missing rights are named at once. */
class Proof {
  readonly #connection: Connection
  readonly #missing: string[] = []
  #other: string | null = null

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async may(right: string, sql: string, values: readonly string[] = []): Promise<boolean> {
    try {
      await this.#connection.query(sql, [...values])
      return true
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
      if (denied.has(code)) this.#missing.push(right)
      else if (code === 'ER_OPTION_PREVENTS_STATEMENT') this.#other ??= 'The server is read-only.'
      else this.#other ??= `The server refused to ${right.toLowerCase()} (${code || 'connection lost'}).`
      return false
    }
  }

  seen(): RightsSeen {
    return { missing: [...new Set(this.#missing)], other: this.#other }
  }
}

async function proveTable(proof: Proof, schema: string, name: string): Promise<void> {
  const table = `\`${schema}\`.\`${name}\``
  const columns = 'id INT NOT NULL PRIMARY KEY, words VARCHAR(64) NOT NULL, facts JSON NULL, at DATETIME(3) NULL'
  if (!(await proof.may('CREATE', `CREATE TABLE ${table} (${columns}) ENGINE = InnoDB CHARACTER SET utf8mb4`))) return
  await proof.may('INSERT', `INSERT INTO ${table} (id, words) VALUES (1, ?)`, ['four bytes: 🔑'])
  await proof.may('UPDATE', `UPDATE ${table} SET words = 'x' WHERE id = 1`)
  await proof.may('SELECT', `SELECT id FROM ${table} WHERE id = 1 FOR UPDATE`)
  await proof.may('DELETE', `DELETE FROM ${table} WHERE id = 1`)
  await proof.may('ALTER', `ALTER TABLE ${table} ADD COLUMN more INT NULL`)
  await proof.may('INDEX', `CREATE INDEX by_words ON ${table} (words)`)
  await proveUser(proof, table, name)
  await proof.may('DROP', `DROP TABLE ${table}`)
}

/** Users of the services: may the account make one, and pass on what it may do? By table, where names are no patterns. */
async function proveUser(proof: Proof, table: string, name: string): Promise<void> {
  const user = [name, '127.0.0.1']
  if (!(await proof.may('CREATE USER', 'CREATE USER ?@? IDENTIFIED BY ?', [...user, newServicePassword()]))) return
  await proof.may('GRANT OPTION', `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ?@?`, user)
  await proof.may('CREATE USER', 'DROP USER ?@?', user)
}

async function makeSchema(connection: Connection, names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    try {
      await connection.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
      return name
    } catch (thrown) {
      const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
      if (!denied.has(code)) throw thrown
    }
  }
  return null
}

/** It was made a moment ago by us; should something have moved in meanwhile, it stays. */
async function dropEmptySchema(connection: Connection, name: string): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT COUNT(*) AS tables_there FROM information_schema.tables WHERE table_schema = ?',
    [name]
  )
  if (Number(rows[0]?.tables_there) === 0) await connection.query(`DROP DATABASE \`${name}\``)
}
