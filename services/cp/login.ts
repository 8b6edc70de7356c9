/** Logging in: limited, equal in time and words for unknown e-mails and wrong passwords. */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import type { Logger } from 'pino'
import { Counter, type Registry } from 'prom-client'
import { openLoginLimiter } from './login-limiter.ts'
import type { Passwords } from './passwords.ts'
import type { Sessions } from './sessions.ts'

export interface Credentials {
  readonly email: string
  readonly password: string
}

export type LoginResult =
  | { readonly outcome: 'in'; readonly token: string; readonly csrf: string }
  | { readonly outcome: 'wrong' }
  | { readonly outcome: 'limited'; readonly until: Date }

export interface Login {
  /**
   * @param address the caller's
   * @param before the session that the caller came with: it ends, so that nobody can plant one (fixation)
   */
  readonly enter: (credentials: Credentials, address: string, before: string | undefined) => Promise<LoginResult>
}

export interface LoginParts {
  readonly database: Pool
  readonly passwords: Passwords
  readonly sessions: Sessions
  readonly log: Logger
  readonly metrics: Registry
}

export function openLogin({ database, passwords, sessions, log, metrics }: LoginParts): Login {
  const limiter = openLoginLimiter(database)
  const logins = new Counter({
    name: 'cp_logins_total',
    help: 'Logins to the Control Panel by outcome',
    labelNames: ['outcome'],
    registers: [metrics]
  })
  const enter: Login['enter'] = async (credentials, address, before) => {
    // The wizard keeps e-mails in lower case.
    const email = credentials.email.trim().toLowerCase()
    const attempt = await limiter.begin(email, address)
    if (attempt.blockedUntil !== null) return { outcome: 'limited', until: attempt.blockedUntil }
    const administrator = await findAdministrator(database, email)
    if (!(await passwords.match(administrator?.passwordHash ?? null, credentials.password)) || administrator === null) {
      return { outcome: 'wrong' }
    }
    await attempt.succeeded()
    await sessions.end(before)
    return { outcome: 'in', ...(await sessions.open(administrator.id)) }
  }
  return {
    enter: async (credentials, address, before) => {
      const result = await enter(credentials, address, before)
      logins.inc({ outcome: result.outcome })
      // Without the e-mail: it may be a password in the wrong field.
      log.info({ outcome: result.outcome, address }, 'login')
      return result
    }
  }
}

/** @param email in lower case */
export async function findAdministrator(
  database: Pool,
  email: string
): Promise<{ readonly id: string; readonly passwordHash: string } | null> {
  const [rows] = await database.query<RowDataPacket[]>('SELECT id, password_hash FROM administrators WHERE email = ?', [
    email
  ])
  const [row] = rows
  return row === undefined ? null : { id: String(row.id), passwordHash: String(row.password_hash) }
}
