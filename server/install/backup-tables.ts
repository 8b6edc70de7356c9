/** Every row of the install's schema, as of one moment, and back again. By our own SELECTs: nothing else has to be installed. */
import type { Pool, PoolConnection, QueryOptions, RowDataPacket } from 'mysql2/promise'
import type { BackupLine, Cell } from './backup-content.ts'

const rowsAtOnce = 200

/** What belongs to who is logged in, or leads, at this moment: it is not taken over into another time. */
const ofTheMoment: ReadonlySet<string> = new Set(['sessions', 'login_attempts', 'relay_lease', 'idempotency_keys'])
/** Made again by the migrations. */
const ofTheMigrations: ReadonlySet<string> = new Set(['schema_migrations', 'schema_lock'])

const binaryTypes: ReadonlySet<string> = new Set([
  'binary',
  'varbinary',
  'blob',
  'tinyblob',
  'mediumblob',
  'longblob',
  'bit'
])

/** One consistent view (REPEATABLE READ): what is written meanwhile is in the next backup. */
export async function* tableLines(pool: Pool, schema: string): AsyncGenerator<BackupLine> {
  const connection = await pool.getConnection()
  try {
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
    await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY')
    for (const table of await tablesOf(connection, schema)) yield* linesOf(connection, table)
  } finally {
    await connection.rollback().catch(() => {})
    connection.destroy()
  }
}

interface Table {
  readonly name: string
  readonly columns: readonly string[]
  readonly binary: ReadonlySet<string>
  readonly key: readonly string[]
  readonly next: string | null
}

async function tablesOf(connection: PoolConnection, schema: string): Promise<Table[]> {
  const [tables] = await connection.query<RowDataPacket[]>(
    `SELECT table_name AS name, auto_increment AS next FROM information_schema.tables
     WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name`,
    [schema]
  )
  const [columns] = await connection.query<RowDataPacket[]>(
    `SELECT table_name AS tableName, column_name AS name, LOWER(data_type) AS type, generation_expression AS made
     FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position`,
    [schema]
  )
  const [keys] = await connection.query<RowDataPacket[]>(
    `SELECT table_name AS tableName, column_name AS name FROM information_schema.key_column_usage
     WHERE table_schema = ? AND constraint_name = 'PRIMARY' ORDER BY table_name, ordinal_position`,
    [schema]
  )
  const namesIn = (rows: readonly RowDataPacket[], table: unknown) =>
    rows.filter(({ tableName }) => tableName === table).map(({ name }) => String(name))
  return tables
    .filter(({ name }) => !ofTheMoment.has(String(name)) && !ofTheMigrations.has(String(name)))
    .map(({ name, next }) => ({
      name: String(name),
      columns: namesIn(
        columns.filter(({ made }) => made === null || made === ''),
        name
      ),
      binary: new Set(
        namesIn(
          columns.filter(({ type }) => binaryTypes.has(String(type))),
          name
        )
      ),
      key: namesIn(keys, name),
      next: next === null || next === undefined ? null : String(next)
    }))
}

/** In the order of the primary key, each batch after the last row of the one before. */
async function* linesOf(
  connection: PoolConnection,
  { name, columns, binary, key, next }: Table
): AsyncGenerator<BackupLine> {
  yield { kind: 'table', name, columns: [...columns], next }
  const keyAt = key.map((column) => columns.indexOf(column))
  const listed = (names: readonly string[]) => names.map((column) => `\`${column}\``).join(', ')
  let after: readonly Cell[] = []
  for (;;) {
    const beyond: string = after.length === 0 ? '' : `WHERE (${listed(key)}) > (${key.map(() => '?').join(', ')})`
    const asked: QueryOptions = {
      sql: `SELECT ${listed(columns)} FROM \`${name}\` ${beyond} ORDER BY ${listed(key)} LIMIT ${rowsAtOnce}`,
      values: after.map(asValue),
      rowsAsArray: true,
      // Every type as the server writes it: nothing is rounded or put into another time zone on the way.
      typeCast: (field) => (binary.has(field.name) ? field.buffer() : field.string())
    }
    const [rows] = await connection.query<RowDataPacket[][]>(asked)
    if (rows.length === 0) return
    const cells: Cell[][] = rows.map((row) => row.map((value: unknown) => asCell(value)))
    yield { kind: 'rows', table: name, rows: cells }
    const last = cells.at(-1)
    after = keyAt.map((at) => last?.[at] ?? null)
  }
}

function asCell(value: unknown): Cell {
  if (Buffer.isBuffer(value)) return { b: value.toString('base64') }
  return value === null || value === undefined ? null : String(value)
}

function asValue(cell: Cell): string | Buffer | null {
  return typeof cell === 'object' && cell !== null ? Buffer.from(cell.b, 'base64') : cell
}

/** Takes lines of tables and rows, in their order; what the migrations have put into a table goes first. */
export function tableWriter(pool: Pool): (line: BackupLine) => Promise<void> {
  let columns = ''
  return async (line) => {
    if (line.kind === 'table') {
      columns = line.columns.map((column) => `\`${column}\``).join(', ')
      await pool.query(`DELETE FROM \`${line.name}\``)
      if (line.next !== null && /^\d+$/.test(line.next))
        await pool.query(`ALTER TABLE \`${line.name}\` AUTO_INCREMENT = ${line.next}`)
    } else if (line.kind === 'rows') {
      const rows = line.rows.map((row) => row.map(asValue))
      await pool.query(`INSERT INTO \`${line.table}\` (${columns}) VALUES ?`, [rows])
    }
  }
}
