/** What probe.ts and its child say to each other, and the facts that come of it. */
import type { CallFailure } from './ckr-error.ts'
import type { ModuleFile } from './elf.ts'
import type { IvMode } from './gcm.ts'
import type { LoginRefusal } from './login-refusal.ts'
import type { MechanismChoices, ModuleStart } from './profiles/profile.ts'
import type { SlotFacts, TokenChoice } from './token-facts.ts'

/** In this order; the names of the round trips are steps too. */
export type ProbeStep =
  | 'file'
  | 'turn'
  | 'load'
  | 'initialize'
  | 'slots'
  | 'mechanisms'
  | 'session'
  | 'login'
  | RoundTripName
  | 'logout'
  | 'finalize'

export type RoundTripName = 'aes-gcm' | 'ec-p256' | 'rsa-2048' | 'random' | 'sensitive'

/** One thing tried with session objects; `failure` null and ok false: the token answered wrongly. */
export interface RoundTrip {
  readonly name: RoundTripName
  readonly ok: boolean
  readonly failure: CallFailure | null
}

interface MechanismFact {
  readonly number: number
  /** e.g. CKM_ECDSA; "CKM_0x80000143" for a number without a name. */
  readonly name: string
}

interface LibraryFacts {
  readonly description: string
  readonly manufacturer: string
  readonly version: string
  readonly cryptoki: string
}

export interface LoginFacts {
  /** C_Login was called. */
  readonly sent: boolean
  readonly ok: boolean
  readonly failure: CallFailure | null
  /** Why C_Login was not called. */
  readonly refusal: LoginRefusal | null
}

interface StepTime {
  readonly step: ProbeStep
  readonly ms: number
}

/** Why the probe ended early, and in which step. */
export type Stopped = { readonly step: ProbeStep } & (
  | { readonly why: 'crashed'; readonly signal: string }
  | { readonly why: 'hung'; readonly ms: number }
  /** The library ended the process: exit code 0 is no success. */
  | { readonly why: 'exited'; readonly exitCode: number }
  | { readonly why: 'refused'; readonly failure: CallFailure }
  | { readonly why: 'aborted' }
)

/** Facts, no judgement. What was not reached is null or empty. */
export interface ProbeFacts {
  readonly file: ModuleFile
  readonly folder: NssFolder | null
  readonly library: LibraryFacts | null
  readonly slots: readonly SlotFacts[]
  readonly choice: TokenChoice | null
  readonly mechanisms: readonly MechanismFact[]
  readonly login: LoginFacts | null
  readonly roundTrips: readonly RoundTrip[]
  /** The IV mode that the token takes; null before it was tried. */
  readonly ivMode: IvMode | null
  /** A hint: the session is read-write for a user and the token not write-protected. */
  readonly canCreateTokenObjects: boolean | null
  readonly times: readonly StepTime[]
  readonly stopped: Stopped | null
  /** The library's last words on stderr. */
  readonly lastWords: string
}

export interface NssFolder {
  readonly path: string
  readonly exists: boolean
  /** It, or the nearest folder above that exists, may be written by this user. */
  readonly writable: boolean
  /** No key4.db: a new key store would be made there. */
  readonly fresh: boolean
  /** Something else is in it. */
  readonly foreignFiles: readonly string[]
  /** Others than the owner may enter. */
  readonly openToOthers: boolean
}

/** The part of the facts that the child gathers, sent piece by piece so that a crash loses nothing. */
type GatheredFacts = Partial<
  Pick<
    ProbeFacts,
    | 'library'
    | 'slots'
    | 'choice'
    | 'mechanisms'
    | 'login'
    | 'roundTrips'
    | 'ivMode'
    | 'canCreateTokenObjects'
    | 'stopped'
  >
>

export interface ProbeRequest {
  readonly start: ModuleStart
  readonly choices: MechanismChoices
  /** Ask for a login once the token is known. */
  readonly login: boolean
  /** The store is a scratch one: give it the PIN first (NSS). */
  readonly initialize: boolean
}

export type ToProbeChild =
  | { readonly kind: 'request'; readonly request: ProbeRequest }
  | { readonly kind: 'login'; readonly pin: string }
  | { readonly kind: 'no-login'; readonly refusal: LoginRefusal }

export type FromProbeChild =
  | { readonly kind: 'step'; readonly step: ProbeStep }
  | { readonly kind: 'done'; readonly time: StepTime }
  | { readonly kind: 'facts'; readonly facts: GatheredFacts }
  | { readonly kind: 'may-i-log-in'; readonly choice: TokenChoice }
  | { readonly kind: 'login-answered'; readonly failure: CallFailure | null }
  | { readonly kind: 'end' }
