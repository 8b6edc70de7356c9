/** What went wrong with one call in the agent, and whether the agent can go on. */
import type { AgentProblem } from './agent-protocol.ts'
import { callFailure, ckrOfFailure } from './ckr-error.ts'
import { CallRefused } from './module.ts'

/** A problem that our own rules found, not the token. */
export class AgentRefusal extends Error {
  readonly problem: AgentProblem

  constructor(code: AgentProblem['code'], detail: string, cure: string, fatal = false) {
    super(detail)
    this.name = 'AgentRefusal'
    this.problem = { code, detail, cure, failure: null, fatal }
  }
}

/** Codes by which a token says that it does not offer what was asked for. */
const notOffered: ReadonlySet<number> = new Set([0x12, 0x13, 0x62, 0x70, 0x71, 0xd0, 0xd1, 0x130, 0x140, 0x80000030])
/** What C_Decrypt answers when tag, data or key do not match: SoftHSM says GENERAL_ERROR, NSS ENCRYPTED_DATA_INVALID. */
const doesNotDecrypt: ReadonlySet<number> = new Set([0x05, 0x06, 0x20, 0x21, 0x40, 0x41])
const generalError = 0x05

/**
 * Codes that say that a session or a handle is no longer what we think: in a new session and with the key looked up again, a
 * call that neither makes nor destroys anything is tried once more (OPERATION_ACTIVE and _NOT_INITIALIZED, OBJECT_ and
 * KEY_HANDLE_INVALID, SESSION_CLOSED and _HANDLE_INVALID).
 */
const worthAnotherTry: ReadonlySet<number> = new Set([0x60, 0x82, 0x90, 0x91, 0xb0, 0xb3])

/** Also when the thread got no session in place of one that it threw away: another thread has one. */
export function isWorthAnotherTry({ failure, fatal }: AgentProblem): boolean {
  if (failure?.call === 'C_OpenSession') return !fatal
  return failure?.code != null && worthAnotherTry.has(failure.code)
}

export function problemOf(op: string, thrown: unknown): AgentProblem {
  if (thrown instanceof AgentRefusal) return thrown.problem
  const failure = thrown instanceof CallRefused ? thrown.failure : callFailure(op, thrown)
  const ckr = ckrOfFailure(failure)
  if (ckr === null)
    return { code: 'internal', detail: failure.message, cure: 'Contact support.', failure, fatal: false }
  const because = { detail: `${ckr.say} (${ckr.name} from ${failure.call})`, cure: ckr.cure, failure }
  if (failure.call === 'C_Decrypt' && doesNotDecrypt.has(ckr.code)) {
    const detail = 'The data cannot be decrypted: it, its context or its key is not the one that was used.'
    return { ...because, code: 'invalid-input', detail, fatal: false }
  }
  switch (ckr.class) {
    case 'pin':
      return { ...because, code: 'pin-rejected', fatal: true }
    case 'session':
      return { ...because, code: 'key-store-unavailable', fatal: true }
    case 'device':
      // One unspecified error says nothing about the next call; a ping that fails does.
      return { ...because, code: 'key-store-unavailable', fatal: ckr.code !== generalError || op === 'ping' }
    case 'capacity':
      return { ...because, code: 'key-store-unavailable', fatal: false }
    case 'data':
      return { ...because, code: 'invalid-input', fatal: false }
    case 'request':
      return { ...because, code: notOffered.has(ckr.code) ? 'invalid-input' : 'internal', fatal: false }
  }
}
