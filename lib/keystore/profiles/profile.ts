import { ckrOf } from '../ckr.ts'
import type { KeyStoreConfig } from '../keystore.ts'

/** How a library is started and which of its tokens is ours: plain data, sent to the child over IPC. */
export interface ModuleStart {
  readonly module: string
  /** NSS only: the string behind pReserved of C_Initialize. Ends with a space, since pkcs11js drops the last character. */
  readonly libraryParameters?: string
  /** What the library finds by getenv(3) beside what Node and we need: a probe is started with it, an agent takes it over. */
  readonly environment: Readonly<Record<string, string>>
  readonly want: TokenWanted
}

/** Identity, not position: resolved by serial, then label; the slot number is a hint. */
export interface TokenWanted {
  readonly serial?: string
  readonly label?: string
  readonly slot?: number
}

/** Choices that differ between tokens, tried in order by what the token offers. */
export interface MechanismChoices {
  /** RSA key pair generation, best first: a Luna partition in FIPS mode lacks CKM_RSA_PKCS_KEY_PAIR_GEN. */
  readonly rsaKeyPairGen: readonly number[]
}

/** One kind of key store, as data. A third one is another file like the two beside this one, and a test. */
export interface KeyStoreProfile {
  readonly id: KeyStoreConfig['profile']
  readonly title: string
  /** False: keys are protected by a password only, and every status page says so. */
  readonly hardware: boolean
  /** Known places of the library; `**` stands for any folders. */
  readonly libraryPaths: readonly string[]
  /** Time for a whole probe, and for opening, in milliseconds. */
  readonly deadlineMs: (module: string) => number
  /** Sessions that do the work, each in a thread: more of them where the token is far away. The token may allow fewer. */
  readonly sessions: (module: string) => number
  /**
   * A software token decrypts a token key at every use: work with a session copy (C_CopyObject) instead. Not SoftHSM, which copies
   * no key that is not modifiable, and ours are not.
   */
  readonly copyKeysToSession: boolean
  readonly pin: PinShape
  /** True: the token locks after wrong logins, so they are budgeted; false: they are only slowed down. */
  readonly locksOnWrongPins: boolean
  readonly mechanisms: MechanismChoices
  /** Words and cures that replace those of ckr.ts for this key store, by CKR number. */
  readonly hints: Readonly<Record<number, { readonly say: string; readonly cure: string }>>
}

interface PinShape {
  readonly min: number
  readonly max: number
  /** Characters that the key store refuses. */
  readonly refused: RegExp
}

/** What is wrong with the shape of a password, in plain words; null when it may be sent. Costs no login. */
export function pinProblem(profile: KeyStoreProfile, pin: string): string | null {
  const { min, max, refused } = profile.pin
  const bytes = Buffer.byteLength(pin)
  if (bytes < min || bytes > max) return `The password must have ${min} to ${max} characters.`
  if (refused.test(pin)) return 'The password has a character that the key store does not take.'
  return null
}

/** Plain words and cure for a return code at this kind of key store. */
export function ckrWords(profile: KeyStoreProfile, code: number): { readonly say: string; readonly cure: string } {
  const { say, cure } = profile.hints[code] ?? ckrOf(code)
  return { say, cure }
}
