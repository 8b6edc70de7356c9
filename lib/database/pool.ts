/** The one way to MySQL: TLS rules, UTC, utf8mb4, and drivers' hazards closed (LOCAL INFILE, several statements). */
import { isIP } from 'node:net'
import mysql, { type Pool, type PoolConnection } from 'mysql2/promise'
import { AppError } from '../errors/app-error.ts'

export interface DatabaseConnection {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** Absent: no schema is selected. */
  readonly database?: string | undefined
  /** PEM of the CA; present = TLS, and the server's name is verified. `system` = the system's roots. */
  readonly tlsCa?: string | undefined
}

/** Options for mysql2, also for single connections (the live checks). */
export function connectionOptions(connection: DatabaseConnection): mysql.PoolOptions {
  const { tlsCa } = connection
  return {
    host: connection.host,
    port: connection.port,
    user: connection.user,
    password: connection.password,
    ...(connection.database === undefined ? {} : { database: connection.database }),
    ...(tlsCa === undefined ? {} : { ssl: tlsOptions(connection.host, tlsCa) }),
    connectTimeout: 5000,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    // A rogue server may ask for files (LOAD DATA LOCAL): never offered.
    flags: ['-LOCAL_FILES']
  }
}

function tlsOptions(host: string, ca: string): mysql.SslOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    // mysql2 checks "localhost" instead of an IP address: for those the caller checks the peer's certificate itself.
    verifyIdentity: isIP(host) === 0,
    ...(ca === 'system' ? {} : { ca })
  }
}

/**
 * mysql2 escapes with backslashes: a server with NO_BACKSLASH_ESCAPES would read values as SQL, and one that is not strict
 * would cut what is too long. Neither is left to the server's configuration.
 */
const sqlMode = `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'`

export function openPool(connection: DatabaseConnection, size = 8): Pool {
  const pool = mysql.createPool({
    ...connectionOptions(connection),
    connectionLimit: size,
    maxIdle: 2,
    idleTimeout: 30_000,
    enableKeepAlive: true
  })
  // Queued before whatever the connection was opened for; a connection that fails here fails there too.
  pool.pool.on('connection', (opened) => opened.query(sqlMode, () => {}))
  return pool
}

/** Commits what `work` did, or nothing. Rolls back and rethrows on any error. */
export async function withTransaction<T>(pool: Pool, work: (connection: PoolConnection) => Promise<T>): Promise<T> {
  const connection = await pool.getConnection()
  try {
    await connection.beginTransaction()
    const result = await work(connection)
    await connection.commit()
    return result
  } catch (thrown) {
    await connection.rollback().catch(() => connection.destroy())
    throw thrown
  } finally {
    connection.release()
  }
}

/**
 * Does again what InnoDB rolled back to end a deadlock (1213): at most twice, at once, since the other side is done by then.
 * @param work a whole transaction, or one statement
 */
export async function retryDeadlock<T>(work: () => Promise<T>, more = 2): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    const deadlock = thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_LOCK_DEADLOCK'
    if (!deadlock || more === 0) throw thrown
    return retryDeadlock(work, more - 1)
  }
}

/** Now, for DATETIME(3) columns (UTC). */
export function utcNow(at: Date = new Date()): string {
  return at.toISOString().slice(0, 23).replace('T', ' ')
}

/** Of MySQL and MariaDB, what passes by itself, besides lost connections (which mysql2 marks `fatal`). */
const passing = new Set([
  'ER_CON_COUNT_ERROR',
  'ER_DISK_FULL',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_RECORD_FILE_FULL',
  'ER_SERVER_SHUTDOWN',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_UNKNOWN_COM_ERROR' // Galera: this node has no quorum
])
const unreachable = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST'
])

/** A database that cannot work now becomes database-unavailable; everything else stays what it was. */
export function asDatabaseError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof AppError) return thrown
  const code = 'code' in thrown ? String(thrown.code) : ''
  const lost = ('fatal' in thrown && thrown.fatal === true) || unreachable.has(code)
  if (!lost && !passing.has(code)) return thrown
  return new AppError('database-unavailable', 'The database is not available.', { cause: thrown })
}
