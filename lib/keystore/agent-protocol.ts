/** What the hsm-agent and its client say to each other: batches of calls, one batch in flight. */
import type { CallFailure } from './ckr-error.ts'
import type { IvMode } from './gcm.ts'
import type { KeyAlgorithm, KeyRef, KeySpec, TokenIdentity } from './keystore.ts'
import type { MechanismChoices, ModuleStart } from './profiles/profile.ts'
import type { PublicJwk } from './public-key.ts'
import type { TokenChoice } from './token-facts.ts'

/** Every operation with what is asked and what is answered. */
export interface AgentOperations {
  create: { ask: KeySpec; answer: KeyRef }
  find: { ask: { readonly id: string }; answer: KeyRef | null }
  publicKey: { ask: { readonly id: string }; answer: PublicJwk }
  /** 6 hexadecimal digits. */
  checkValue: { ask: { readonly id: string }; answer: string }
  /** `input`: a digest for EC, a DigestInfo for RSA; answers r||s or the RSA signature. */
  sign: {
    ask: { readonly id: string; readonly algorithm: KeyAlgorithm; readonly input: Uint8Array }
    answer: Uint8Array
  }
  random: { ask: { readonly bytes: number }; answer: Uint8Array }
  destroy: { ask: { readonly id: string }; answer: boolean }
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
  /** The store may be made now (NSS): a token without a PIN gets this one. */
  readonly create: boolean
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
  | { readonly kind: 'not-opened'; readonly step: string; readonly failure: CallFailure }
  | { readonly kind: 'answers'; readonly answers: readonly AgentAnswer[]; readonly last: boolean }
  | { readonly kind: 'closed' }
