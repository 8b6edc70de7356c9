/** What probe.ts and its child say to each other, and the facts that come of it. */
import type { CallFailure } from './ckr-error.ts'
import type { ModuleFile } from './elf.ts'
import type { IvMode } from './gcm.ts'
import type { HaGroup } from './ha-groups.ts'
import type { KeyWrap } from './key-wrap.ts'
import type { LoginRefusal } from './login-refusal.ts'
import type { MechanismChoices, ModuleStart } from './profiles/profile.ts'
import type { SlotFacts, TokenChoice } from './token-facts.ts'

/** In this order, none twice; the names of the round trips are steps too. */
const beforeTrips = ['file', 'turn', 'load', 'initialize', 'slots', 'mechanisms', 'session', 'login'] as const
const trips = ['aes-gcm', 'ec-p256', 'rsa-2048', 'aes-kw', 'aes-kwp', 'random', 'sensitive'] as const
const probeSteps = [...beforeTrips, ...trips, 'master-key', 'logout', 'finalize'] as const

/** One thing that is tried with session objects. */
export type RoundTripName = (typeof trips)[number]

export type ProbeStep = (typeof probeSteps)[number]

/** True when a probe that is in step `now` has left `step` behind, taken or left out; `now` null: it is over. */
export function isPast(step: ProbeStep, now: ProbeStep | null): boolean {
  return now === null || probeSteps.indexOf(now) > probeSteps.indexOf(step)
}

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
  /** Asked for those that we use; null for the others, and where the token does not tell. Key sizes as the mechanism counts them. */
  readonly use: MechanismUse | null
}

export interface MechanismUse {
  readonly minKeySize: number
  readonly maxKeySize: number
  /** CKF_ bits of CK_MECHANISM_INFO. */
  readonly flags: number
}

/** As whom the library was loaded, told by the child itself. */
export interface RanAs {
  readonly uid: number
  readonly gid: number
  /** Other groups: a Luna client asks for membership of hsmusers. */
  readonly groups: readonly number[]
  /** Name of the user, or its number. */
  readonly user: string
}

/** A slot that is listed and cannot be used; `failure` null: there is no token in it. */
export interface UnusableSlot {
  readonly slot: number
  readonly failure: CallFailure | null
}

/** What is under the id that was asked for. */
export interface MasterKeyFacts {
  readonly found: boolean
  /** 6 hexadecimal digits; null when there is no such key, or it could not be asked. */
  readonly checkValue: string | null
  readonly failure: CallFailure | null
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
  /** Null: no child got as far as to say it. */
  readonly ranAs: RanAs | null
  readonly library: LibraryFacts | null
  /** HA groups that the client's configuration defines; their slots are virtual. */
  readonly haGroups: readonly HaGroup[]
  /** Slots that hold no token, or one that does not answer. */
  readonly unusableSlots: readonly UnusableSlot[]
  readonly slots: readonly SlotFacts[]
  readonly choice: TokenChoice | null
  readonly mechanisms: readonly MechanismFact[]
  readonly login: LoginFacts | null
  readonly roundTrips: readonly RoundTrip[]
  /** AES key wrap in the numbers that the token takes. */
  readonly keyWraps: readonly KeyWrap[]
  /** Null: none was asked for, or it was not reached. */
  readonly masterKey: MasterKeyFacts | null
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
    | 'ranAs'
    | 'library'
    | 'unusableSlots'
    | 'slots'
    | 'choice'
    | 'mechanisms'
    | 'login'
    | 'roundTrips'
    | 'keyWraps'
    | 'masterKey'
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
  /** CKA_ID, hex, of the key whose check value is wanted after a login; null: none. */
  readonly masterKey: string | null
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
