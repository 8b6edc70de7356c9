/**
 * The PIN rule across processes and restarts: wizard, command line and KMS that share a state directory share one
 * memory of logins. What was rejected is kept as HMAC-SHA-256 under a random key of its own, never as a PIN.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { acquireFileLock } from '../process/file-lock.ts'
import type { LoginOutcome } from './login-gate.ts'
import type { LoginRefusal } from './login-refusal.ts'
import { emptyRecord, historyOf, readRecord, settle, writeDurably, writeRecord } from './pin-record.ts'
import { type LoginPolicy, refuseLogin } from './pin-rules.ts'
import type { TokenFlags } from './token-facts.ts'

/** A login that may be sent, once. The token is locked for other logins until one of these is called. */
export interface LoginAttempt {
  /** The token says that a wrong password was entered since the last good one. */
  readonly countLow: boolean
  /** Tells how it ended; `lost`: sent, and no answer came. Later calls do nothing. */
  readonly settle: (outcome: LoginOutcome) => void
}

interface KnownLogins {
  /** Failed logins known here since the last one that worked. */
  readonly failures: number
  /** Null when there was none. */
  readonly lastAt: Date | null
}

export interface PinGuard {
  /**
   * Decides whether this PIN may be sent to this token now, and records the intent before it answers.
   * Waits for a login of another process at the same token, then refuses as `busy`.
   * @param token serial, or the folder of an NSS store
   * @param next the password that C_SetPIN puts in its place, where that is what is sent
   * @throws AppError internal when the record cannot be read or written: then no login may be sent
   */
  readonly beforeLogin: (
    token: string,
    pin: string,
    flags: TokenFlags,
    policy: LoginPolicy,
    next?: string
  ) => Promise<{ readonly attempt: LoginAttempt } | { readonly refusal: LoginRefusal }>
  readonly known: (token: string) => KnownLogins
  /**
   * What is known of this PIN without asking the token: accepted or rejected when it was sent last, `another` when a
   * different one was accepted last; null when nothing is known, or it is being sent.
   */
  readonly verdictOn: (token: string, pin: string) => 'accepted' | 'rejected' | 'another' | null
  /** The store was made anew: what was remembered about the old one means nothing. */
  readonly forget: (token: string) => Promise<void>
}

export interface PinGuardOptions {
  /** How long to wait for a login of another process; milliseconds. */
  readonly waitMs?: number
  readonly now?: () => number
}

/** @param stateDir private folder of the product; `pin-guard` is made in it (0700) */
export function openPinGuard(stateDir: string, options: PinGuardOptions = {}): PinGuard {
  const { waitMs = 60_000, now = Date.now } = options
  const folder = join(stateDir, 'pin-guard')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const key = guardKey(folder)
  const macOf = (token: string, pin: string): string =>
    createHmac('sha256', key)
      .update(JSON.stringify([token, pin]))
      .digest('hex')
  const pathOf = (token: string): string =>
    join(folder, `${createHash('sha256').update(token).digest('hex').slice(0, 32)}.json`)

  async function locked(token: string): Promise<(() => void) | null> {
    return await acquireFileLock(`${pathOf(token)}.lock`, waitMs)
  }

  return {
    async beforeLogin(token, pin, flags, policy, next) {
      const path = pathOf(token)
      const unlock = await locked(token)
      if (unlock === null) return { refusal: busy(readRecord(path, token).failures) }
      let kept = false
      try {
        const mac = macOf(token, pin)
        // We hold the lock, so a login that is still open belongs to a process that was killed.
        const record = settle(readRecord(path, token), 'lost', now())
        const refusal = refuseLogin(flags, historyOf(record, mac), policy, now())
        const open = { mac, at: now(), ...(next === undefined ? {} : { next: macOf(token, next) }) }
        writeRecord(path, refusal === null ? { ...record, open } : record)
        if (refusal !== null) return { refusal }
        kept = true
      } finally {
        if (!kept) unlock()
      }
      let open = true
      return {
        attempt: {
          countLow: flags.userPinCountLow,
          settle(outcome) {
            if (!open) return
            open = false
            try {
              writeRecord(path, settle(readRecord(path, token), outcome, now()))
            } finally {
              unlock()
            }
          }
        }
      }
    },
    known(token) {
      const { failures, lastFailureAt } = readRecord(pathOf(token), token)
      return { failures, lastAt: lastFailureAt === 0 ? null : new Date(lastFailureAt) }
    },
    verdictOn(token, pin) {
      const { accepted, rejected, open } = readRecord(pathOf(token), token)
      const mac = macOf(token, pin)
      if (open?.mac === mac || open?.next === mac) return null
      if (accepted === mac) return 'accepted'
      if (rejected.includes(mac)) return 'rejected'
      return accepted === null ? null : 'another'
    },
    async forget(token) {
      const unlock = await locked(token)
      if (unlock === null) throw new AppError('conflict', 'A login at this key store is still going on.')
      try {
        writeRecord(pathOf(token), emptyRecord(token))
      } finally {
        unlock()
      }
    }
  }
}

function busy(failures: number): LoginRefusal {
  const say = 'Another login at this token is still going on.'
  return { reason: 'busy', say, cure: 'Wait until it has ended, then try again.', failures }
}

/** 32 random bytes, made once. Records without their key would forget which PINs were rejected: that is an error. */
function guardKey(folder: string): Buffer {
  const path = join(folder, 'hmac.key')
  const read = (): Buffer | null => {
    try {
      return Buffer.from(readFileSync(path, 'utf8').trim(), 'hex')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    }
  }
  let key = read()
  if (key === null) {
    if (readdirSync(folder).some((name) => name.endsWith('.json'))) {
      throw new AppError('internal', `The key of the login records is missing: ${path}.`, {
        cure: 'Restore it from a backup, or remove the folder if no wrong password was entered lately.'
      })
    }
    makeKey(path)
    key = read()
  }
  if (key === null || key.length !== 32)
    throw new AppError('internal', `The key of the login records is damaged: ${path}.`)
  return key
}

/** Two processes may do this at once: the link decides whose key it is. */
function makeKey(path: string): void {
  const draft = `${path}.${process.pid}`
  writeDurably(draft, `${randomBytes(32).toString('hex')}\n`)
  try {
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    rmSync(draft, { force: true })
  }
}
