/** What passes by itself: told to callers as 503, so that they try again. */
import { AppError } from '../../lib/errors/app-error.ts'

/** Of MySQL and MariaDB, besides lost connections (which mysql2 marks `fatal`). */
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
const unreachable = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN'])

/** A database that cannot work now becomes database-unavailable; everything else stays what it was. */
export function asOutage(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof AppError) return thrown
  const code = 'code' in thrown ? String(thrown.code) : ''
  const lost = ('fatal' in thrown && thrown.fatal === true) || unreachable.has(code)
  if (!lost && !passing.has(code)) return thrown
  return new AppError('database-unavailable', 'The database is not available.', { cause: thrown })
}
