/** One login to MySQL, its errors in our words. Errors of the driver may hold what the server said, never the password. */
import type { Socket } from 'node:net'
import mysql, { type Connection } from 'mysql2/promise'
import { connectionOptions, type DatabaseConnection } from '../../lib/database/pool.ts'
import type { ResolvedAddress } from './address.ts'
import { pinnedSocket } from './dial.ts'

export type LoginProblem =
  | 'access-denied'
  | 'tls-required'
  | 'unsupported-plugin'
  | 'no-such-database'
  | 'host-not-allowed'
  | 'too-many-connections'
  | 'tls-failed'
  | 'lost'

export class LoginError extends Error {
  readonly problem: LoginProblem

  constructor(problem: LoginProblem, cause: unknown) {
    super(problem, { cause })
    this.problem = problem
  }
}

const byCode: Readonly<Record<string, LoginProblem>> = {
  ER_ACCESS_DENIED_ERROR: 'access-denied',
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: 'access-denied',
  ER_DBACCESS_DENIED_ERROR: 'no-such-database',
  ER_BAD_DB_ERROR: 'no-such-database',
  ER_SECURE_TRANSPORT_REQUIRED: 'tls-required',
  MYSQL_CLEAR_PASSWORD_NOT_ENABLED: 'unsupported-plugin',
  AUTH_SWITCH_PLUGIN_ERROR: 'unsupported-plugin',
  ER_NOT_SUPPORTED_AUTH_MODE: 'unsupported-plugin',
  ER_PLUGIN_IS_NOT_LOADED: 'unsupported-plugin',
  ER_HOST_NOT_PRIVILEGED: 'host-not-allowed',
  ER_HOST_IS_BLOCKED: 'host-not-allowed',
  ER_CON_COUNT_ERROR: 'too-many-connections',
  HANDSHAKE_SSL_ERROR: 'tls-failed',
  HANDSHAKE_NO_SSL_SUPPORT: 'tls-failed'
}

/**
 * The caller has made sure that the peer may see the password: loopback, or verified TLS (greetMysql).
 * @throws LoginError
 */
export async function loginMysql(connection: DatabaseConnection, to: ResolvedAddress): Promise<Connection> {
  try {
    return await mysql.createConnection({
      ...connectionOptions(connection),
      connectTimeout: 4000,
      stream: () => limited(pinnedSocket(to, connection.port))
    })
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
    throw new LoginError(byCode[code] ?? 'lost', thrown)
  }
}

/** All that a check reads is a few kB; a peer that sends megabytes is none of ours, and mysql2 would keep them. */
const mostBytes = 8 * 2 ** 20

/** Over TLS the peer has been verified, and mysql2 takes this listener away with the plain stream's others. */
function limited(socket: Socket): Socket {
  socket.on('data', () => {
    if (socket.bytesRead > mostBytes) socket.destroy()
  })
  return socket
}
