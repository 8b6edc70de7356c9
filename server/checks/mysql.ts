/**
 * A database server, from its name to what the account may do in it. One observation in stages; the first that fails
 * ends it, and says so by what is null after it. Nothing typed is in what was seen, but host, port and names.
 */
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { DatabaseConnection } from '../../lib/database/pool.ts'
import { type ResolvedAddress, resolveAddress } from './address.ts'
import { greetMysql, type MysqlGreeting } from './mysql-greeting.ts'
import { LoginError, type LoginProblem, loginMysql } from './mysql-login.ts'
import { proveRights, type RightsSeen, scratchPrefix } from './mysql-rights.ts'

export interface MysqlSeen {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly schema: string
  /** null: the name does not resolve. */
  readonly resolved: ResolvedAddress | null
  readonly greeting: MysqlGreeting | null
  /** True: the peer is not on this machine and TLS was not asked for: the password stayed here. */
  readonly withheld: boolean
  readonly loginProblem: LoginProblem | null
  /** null: no login. */
  readonly server: ServerFacts | null
  readonly contents: SchemaContents | null
  readonly rights: RightsSeen | null
}

export interface ServerFacts {
  readonly version: string
  readonly innodb: boolean
  readonly utf8mb4: boolean
  /** 1 = each commit is on disk before it is acknowledged. */
  readonly flushAtCommit: number
  /** The server's clock minus ours, in seconds. */
  readonly skewSeconds: number
  /** `user@host` as the server's account table has it. */
  readonly account: string
}

export interface SchemaContents {
  readonly state: 'absent' | 'empty' | 'ours' | 'foreign'
  /** Name of the newest migration; null unless ours. */
  readonly newest: string | null
  /** Ids of installs other than the asking one. */
  readonly otherInstalls: readonly string[]
  readonly tables: number
}

export interface MysqlQuestion {
  readonly connection: DatabaseConnection
  readonly schema: string
  /** Id of the install that asks. */
  readonly install: string
  /** No scratch table, no scratch user. */
  readonly withoutRights?: boolean | undefined
}

/**
 * Never throws for what a peer does.
 * @param progress names what is being waited for
 * @param signal aborts at the check's deadline: the connection is cut then, whatever the peer still has to say
 */
export async function observeMysql(
  question: MysqlQuestion,
  progress: (what: string) => void,
  signal: AbortSignal
): Promise<MysqlSeen> {
  const { connection, schema } = question
  const { host, port, user, tlsCa } = connection
  let seen: MysqlSeen = {
    ...{ host, port, user, schema, resolved: null, greeting: null, withheld: false },
    ...{ loginProblem: null, server: null, contents: null, rights: null }
  }
  progress(`the address of ${host}`)
  const resolved = await resolveAddress(host)
  if (resolved === null) return seen
  seen = { ...seen, resolved }

  progress(`the greeting of ${host}:${port}`)
  const ca = tlsCa === 'system' ? undefined : tlsCa
  const greeting = await greetMysql(resolved, port, tlsCa === undefined ? undefined : { ca })
  seen = { ...seen, greeting }
  if (greeting.problem !== null || (greeting.tls !== null && greeting.tls.problem !== null)) return seen
  if (tlsCa === undefined && !resolved.loopback) return { ...seen, withheld: true }

  progress(`the login of ${user}`)
  let session: Connection | undefined
  try {
    const opened = await loginMysql(connection, resolved)
    session = opened
    // A connection that breaks says so to the query that waits; without a listener it would end the process.
    session.on('error', () => {})
    signal.addEventListener('abort', () => opened.destroy(), { once: true })
    if (signal.aborted) return seen
    progress('the facts of the server')
    const server = await serverFacts(session)
    const contents = await schemaContents(session, schema, question.install)
    seen = { ...seen, server, contents }
    if (contents.state === 'foreign' || contents.otherInstalls.length > 0) return seen
    if (question.withoutRights === true) return seen
    progress('the rights in a scratch table')
    const rights = await proveRights(session, contents.state === 'absent' ? null : schema, schema)
    return { ...seen, rights }
  } catch (thrown) {
    return { ...seen, loginProblem: thrown instanceof LoginError ? thrown.problem : 'lost' }
  } finally {
    session?.destroy()
  }
}

async function serverFacts(session: Connection): Promise<ServerFacts> {
  const before = Date.now()
  const [[row]] = await session.query<RowDataPacket[]>(
    `SELECT VERSION() AS version, UNIX_TIMESTAMP(NOW(3)) AS clock, CURRENT_USER() AS account,
     @@innodb_flush_log_at_trx_commit AS flushed`
  )
  const ours = (before + Date.now()) / 2 / 1000
  const [engines] = await session.query<RowDataPacket[]>('SHOW ENGINES')
  const [charsets] = await session.query<RowDataPacket[]>("SHOW CHARACTER SET LIKE 'utf8mb4'")
  return {
    version: String(row?.version),
    innodb: engines.some(({ Engine, Support }) => Engine === 'InnoDB' && (Support === 'YES' || Support === 'DEFAULT')),
    utf8mb4: charsets.length === 1,
    flushAtCommit: Number(row?.flushed),
    skewSeconds: Number(row?.clock) - ours,
    account: String(row?.account)
  }
}

async function schemaContents(session: Connection, schema: string, install: string): Promise<SchemaContents> {
  const absent = { state: 'absent', newest: null, otherInstalls: [], tables: 0 } as const
  const [schemas] = await session.query<RowDataPacket[]>(
    'SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?',
    [schema]
  )
  if (schemas.length === 0) return absent
  const [rows] = await session.query<RowDataPacket[]>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? LIMIT 1000',
    [schema]
  )
  const names = rows.map(({ name }) => String(name)).filter((name) => !name.startsWith(scratchPrefix))
  if (names.length === 0) return { ...absent, state: 'empty' }
  if (!names.includes('schema_migrations')) return { ...absent, state: 'foreign', tables: names.length }
  try {
    const [[migration]] = await session.query<RowDataPacket[]>(
      `SELECT MAX(name) AS newest FROM \`${schema}\`.schema_migrations WHERE checksum IS NOT NULL`
    )
    const [others] = names.includes('installs')
      ? await session.query<RowDataPacket[]>(`SELECT id FROM \`${schema}\`.installs WHERE id <> ? LIMIT 3`, [install])
      : [[]]
    const newest = migration?.newest === null ? null : String(migration?.newest)
    return { state: 'ours', newest, otherInstalls: others.map(({ id }) => String(id)), tables: names.length }
  } catch (thrown) {
    // Somebody else's tables of the same name have other columns.
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_BAD_FIELD_ERROR') {
      return { ...absent, state: 'foreign', tables: names.length }
    }
    throw thrown
  }
}
