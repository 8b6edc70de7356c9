/** What the agent's main thread and the threads that call the library say to each other. */
import type { AgentOperations, AgentProblem, AgentStart } from './agent-protocol.ts'
import type { CallFailure } from './ckr-error.ts'
import type { KeyRef, TokenIdentity } from './keystore.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import type { PublicJwk } from './public-key.ts'
import type { DeskMemory } from './sign-desk.ts'
import type { TokenChoice } from './token-facts.ts'

/** A key as the keeper found it: by CKA_ID, and fit for use. */
export interface FoundKey {
  readonly ref: KeyRef
  /** CK_OBJECT_HANDLE of the secret or private half; of a software token a session copy. */
  readonly handle: Uint8Array
  /** Null for AES. */
  readonly jwk: PublicJwk | null
}

/**
 * A found key with the name under which threads know it. A handle belongs to one process and login, and may later name another
 * key: every look at the token gives a new number, and a job that carries an old one is refused.
 */
export interface NumberedKey extends FoundKey {
  readonly number: number
}

/** What the keeper alone does, in the anchor session. */
export interface KeeperJobs {
  look: { ask: { readonly id: string }; answer: FoundKey | null }
  /** Is there anything under this id, even half a key? */
  taken: { ask: { readonly id: string }; answer: boolean }
  destroy: AgentOperations['destroy']
  isEmpty: AgentOperations['isEmpty']
  ping: AgentOperations['ping']
}

/** What any session can do; `key` is the number of a key. */
export interface SessionJobs {
  generate: { ask: AgentOperations['create']['ask']; answer: null }
  checkValue: { ask: { readonly key: number }; answer: string }
  /** Signs and verifies. Only what cannot go over the desk (sign-desk.ts), or could not be signed there at once. */
  sign: { ask: { readonly key: number; readonly data: Uint8Array }; answer: Uint8Array }
  random: AgentOperations['random']
  encrypt: {
    ask: { readonly key: number; readonly plaintext: Uint8Array; readonly aad: Uint8Array }
    answer: AgentOperations['encrypt']['answer']
  }
  decrypt: {
    ask: {
      readonly key: number
      readonly sealed: AgentOperations['decrypt']['ask']['sealed']
      readonly aad: Uint8Array
    }
    answer: AgentOperations['decrypt']['answer']
  }
}

export type Jobs = KeeperJobs & SessionJobs
export type JobName = keyof Jobs
export type Job = { [Op in JobName]: { readonly job: number; readonly op: Op; readonly ask: Jobs[Op]['ask'] } }[JobName]

export type JobAnswer =
  | { readonly job: number; readonly ok: true; readonly value: unknown }
  /** `again`: the session is a new one now; with the key looked up again the same job may succeed. */
  | { readonly job: number; readonly ok: false; readonly problem: AgentProblem; readonly again: boolean }

/** Where a thread takes signatures from. */
export interface DeskPlace {
  readonly desk: DeskMemory
  /** Its number at the desk. */
  readonly thread: number
  /** Does it verify what it signs? Else the verifier does. */
  readonly verifies: boolean
}

export type ToThread =
  /** Makes this thread the keeper: it loads the library, logs in and holds the anchor session. */
  | { readonly kind: 'keep'; readonly request: AgentStart }
  /** The step has been told to everybody who must know it, should this thread crash in it. */
  | { readonly kind: 'enter' }
  | { readonly kind: 'login'; readonly pin: string }
  /** Makes this thread a worker: the login of the process is the keeper's. */
  | {
      readonly kind: 'join'
      readonly module: string
      readonly slot: Uint8Array
      readonly choices: MechanismChoices
      readonly place: DeskPlace
    }
  /** Makes this thread the verifier. */
  | { readonly kind: 'verify'; readonly place: DeskPlace }
  /** A key that later jobs name by its number. */
  | { readonly kind: 'learn'; readonly key: NumberedKey }
  | { readonly kind: 'jobs'; readonly jobs: readonly Job[] }
  | { readonly kind: 'forget'; readonly key: number }
  | { readonly kind: 'finalize' }

export type FromThread =
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'may-i-log-in'; readonly choice: TokenChoice; readonly madeNow: boolean }
  | { readonly kind: 'login-answered'; readonly failure: CallFailure | null }
  | { readonly kind: 'not-opened'; readonly step: string; readonly failure: CallFailure }
  | {
      readonly kind: 'kept'
      readonly token: TokenIdentity
      readonly slot: Uint8Array
      /** Most sessions that the token allows beside the anchor; null when it does not tell. */
      readonly most: number | null
    }
  | { readonly kind: 'joined' }
  | { readonly kind: 'not-joined'; readonly failure: CallFailure }
  /** `ms`: time for one of these jobs, on average. */
  | { readonly kind: 'answers'; readonly answers: readonly JobAnswer[]; readonly ms: number; readonly last: boolean }
  /** A call from the desk that could not be signed: its slot is still in use. `again` as in JobAnswer. */
  | { readonly kind: 'unsigned'; readonly slot: number; readonly problem: AgentProblem; readonly again: boolean }
  | { readonly kind: 'finalized' }
