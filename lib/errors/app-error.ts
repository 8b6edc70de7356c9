/**
 * The one error of the product. Codes are closed: what is not in this list does not happen, and docs/errors.md is
 * pinned to it by a test. HTTP status and wording for people are decided only in server/web (and in a service's app.ts).
 */
export const errorCodes = [
  'invalid-input', // the caller sent something that its schema refuses
  'unauthenticated', // no valid session, token, password or client certificate
  'forbidden', // known, but not allowed to
  'not-found',
  'conflict', // the world has moved: another revision, another run, a name that is taken
  'out-of-order', // a step asked for before the ones it needs
  'check-failed', // a live check said no; findings say which
  'pin-rejected', // the token rejected the PIN, or the guard refused to send it (CKR_PIN_*): never retried
  'key-store-unavailable', // token, library or agent gone, hung or crashed
  'database-unavailable',
  'broker-unavailable',
  'service-unavailable', // one of our services does not answer
  'deadline-exceeded',
  'deploy-failed',
  'locked', // setup is finished; `keyscaler unlock` reopens it
  'internal'
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** Which check refused a field, and what cures it. */
export interface FieldCause {
  /** The check's id: database.connects. */
  readonly code: string
  readonly remedy?: string
}

export interface AppErrorExtras {
  /** Messages by field name, for forms and problem documents. */
  readonly fields?: Readonly<Record<string, string>>
  /** By field name, for those that a check refused. */
  readonly causes?: Readonly<Record<string, FieldCause>>
  /** The next thing to do, in plain words. */
  readonly cure?: string
  /** Which of several reasons for this code, as a word for programs. */
  readonly reason?: string
  readonly cause?: unknown
}

/** @param detail plain words for a person; never holds a secret. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly fields: Readonly<Record<string, string>> | undefined
  readonly causes: Readonly<Record<string, FieldCause>> | undefined
  readonly cure: string | undefined
  readonly reason: string | undefined

  constructor(code: ErrorCode, detail: string, more: AppErrorExtras = {}) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'AppError'
    this.code = code
    this.fields = more.fields
    this.causes = more.causes
    this.cure = more.cure
    this.reason = more.reason
  }
}

/** The message of anything thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
