/** What the hsm-agent and its client say to each other: batches of calls and of answers. */
import type { CallFailure } from './ckr-error.ts'
import type { IvMode } from './gcm.ts'
import type { KeyRef, KeySpec, TokenIdentity } from './keystore.ts'
import type { MechanismChoices, ModuleStart } from './profiles/profile.ts'
import type { PublicJwk } from './public-key.ts'
import type { SigningAlgorithm } from './sign-frames.ts'
import type { TokenChoice } from './token-facts.ts'

/** Every operation with what is asked and what is answered. */
export interface AgentOperations {
  create: { ask: KeySpec; answer: KeyRef }
  find: { ask: { readonly id: string }; answer: KeyRef | null }
  publicKey: { ask: { readonly id: string }; answer: PublicJwk }
  /** 6 hexadecimal digits. */
  checkValue: { ask: { readonly id: string }; answer: string }
  /** Signs `data` and verifies; answers DER (EC) or the RSA signature, never one that its public key does not verify. */
  sign: {
    ask: { readonly id: string; readonly algorithm: SigningAlgorithm; readonly data: Uint8Array }
    answer: Uint8Array
  }
  random: { ask: { readonly bytes: number }; answer: Uint8Array }
  destroy: { ask: { readonly id: string }; answer: boolean }
  /** Has it no key of anybody? */
  isEmpty: { ask: Record<never, never>; answer: boolean }
  ping: { ask: Record<never, never>; answer: null }
  encrypt: {
    ask: { readonly id: string; readonly plaintext: Uint8Array; readonly aad: Uint8Array }
    answer: SealedBytes
  }
  decrypt: { ask: { readonly id: string; readonly sealed: SealedBytes; readonly aad: Uint8Array }; answer: Uint8Array }
}
export type AgentOperation = keyof AgentOperations

export interface SealedBytes {
  readonly mode: IvMode
  readonly iv: Uint8Array
  readonly data: Uint8Array
}

export type AgentCall = {
  [Op in AgentOperation]: { readonly call: number; readonly op: Op; readonly ask: AgentOperations[Op]['ask'] }
}[AgentOperation]

export interface AgentProblem {
  readonly code: 'invalid-input' | 'conflict' | 'not-found' | 'pin-rejected' | 'key-store-unavailable' | 'internal'
  readonly detail: string
  readonly cure: string
  readonly failure: CallFailure | null
  /** The agent cannot go on: login, session or device are gone. */
  readonly fatal: boolean
}

export type AgentAnswer =
  | { readonly call: number; readonly ok: true; readonly value: unknown }
  | { readonly call: number; readonly ok: false; readonly problem: AgentProblem }

export interface AgentStart {
  readonly start: ModuleStart
  readonly choices: MechanismChoices
  /** Keys are used as session copies. */
  readonly copyKeysToSession: boolean
  /** The store may be made now (NSS): a token without a PIN gets this one. */
  readonly create: boolean
  /** Sessions that may do the work, each in a thread of its own. */
  readonly sessions: number
  /** Time for one call of the library; milliseconds. */
  readonly callDeadlineMs: number
}

export type ToAgent =
  | { readonly kind: 'open'; readonly request: AgentStart }
  | { readonly kind: 'login'; readonly pin: string }
  | { readonly kind: 'calls'; readonly calls: readonly AgentCall[] }
  | { readonly kind: 'close' }

export type FromAgent =
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'may-i-log-in'; readonly choice: TokenChoice; readonly madeNow: boolean }
  | { readonly kind: 'login-answered'; readonly failure: CallFailure | null }
  | { readonly kind: 'opened'; readonly token: TokenIdentity }
  /** How many sessions do the work now. */
  | { readonly kind: 'sessions'; readonly count: number }
  | { readonly kind: 'not-opened'; readonly step: string; readonly failure: CallFailure }
  | { readonly kind: 'answers'; readonly answers: readonly AgentAnswer[] }
  /** Calls are under way: sent when there is nothing else to say, since a process may stop as a whole. */
  | { readonly kind: 'alive' }
  /** One call of the library did not come back in its time. */
  | { readonly kind: 'hung'; readonly op: string; readonly ms: number }
  | { readonly kind: 'closed' }
