import { type Ckr, ckrOf } from './ckr.ts'

/** What a failed call said, as plain data that travels between processes. */
export interface CallFailure {
  /** The PKCS#11 function, or `dlopen`. */
  readonly call: string
  /** e.g. CKR_PIN_INCORRECT; null when the failure is not a return code (dlopen text, a type error). */
  readonly ckr: string | null
  readonly code: number | null
  /** The library's or the loader's own words; for a return code the plain words of ckr.ts. */
  readonly message: string
}

/**
 * Normalises the error shapes of pkcs11js: `Pkcs11Error` with `.code`, a plain `Error("CKR_X:NNN")` from the object
 * calls, `NativeError` with the loader's text, and the TypeError that it throws before the call.
 */
export function callFailure(call: string, thrown: unknown): CallFailure {
  const code = returnCode(thrown)
  if (code !== null) return { call, ckr: ckrOf(code).name, code, message: ckrOf(code).say }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return { call, ckr: null, code: null, message: message.split('\n')[0]?.slice(0, 300) ?? '' }
}

/** The row of ckr.ts for a failure; null when it was not a return code. */
export function ckrOfFailure(failure: CallFailure): Ckr | null {
  return failure.code === null ? null : ckrOf(failure.code)
}

/** The CKR number inside anything thrown by pkcs11js, or null. */
function returnCode(thrown: unknown): number | null {
  if (!(thrown instanceof Error)) return null
  const text = /CKR_\w+:(\d+)/.exec(thrown.message)
  if (text?.[1] !== undefined) return Number(text[1])
  if ('code' in thrown && typeof thrown.code === 'number' && thrown.code > 0) return thrown.code
  return null
}
