/** Why a key store could not be opened, as the product's one error. */
import { AppError, type ErrorCode } from '../errors/app-error.ts'
import { type CallFailure, ckrOfFailure } from './ckr-error.ts'
import type { LoginRefusal, RefusalReason } from './login-refusal.ts'
import type { ChildEnd } from './module-child.ts'
import { ckrWords, type KeyStoreProfile } from './profiles/profile.ts'
import type { TokenChoice } from './token-facts.ts'

const codeOfRefusal: Readonly<Record<RefusalReason, ErrorCode>> = {
  'pin-shape': 'invalid-input',
  'token-not-found': 'conflict',
  'slot-differs': 'conflict',
  'label-differs': 'conflict',
  'not-initialized': 'conflict',
  'user-pin-not-initialized': 'conflict',
  locked: 'pin-rejected',
  'final-try': 'pin-rejected',
  'same-pin-rejected-before': 'pin-rejected',
  'interrupted-before': 'pin-rejected',
  'too-many': 'pin-rejected',
  'too-soon': 'pin-rejected',
  busy: 'key-store-unavailable'
}

export function loginRefused(refusal: LoginRefusal, choice: TokenChoice): AppError {
  const { reason, say, cure } = refusal
  if (reason !== 'token-not-found' || choice.found) return new AppError(codeOfRefusal[reason], say, { cure, reason })
  // No token at all is a connection that failed; another token in its place is a conflict.
  if (choice.why === 'no-tokens') return new AppError('key-store-unavailable', 'The HSM shows no token.', { cure })
  return new AppError('conflict', `${say}${instead(choice)}`, { cure: choice.why === 'serial-absent' ? ours : cure })
}

const ours = 'Connect the HSM that this install was made with, or restore the backup of its partition.'

/** What is there in the place of the token that is meant. */
function instead({ why, inSlot }: Extract<TokenChoice, { found: false }>): string {
  if (why === 'label-ambiguous') return ' Several tokens have this name: its serial number tells them apart.'
  if (inSlot === null) return ''
  const holds = `slot ${inSlot.slot} holds "${inSlot.label}", serial ${inSlot.serial}`
  return why === 'serial-absent'
    ? ` It was swapped, or taken away: ${holds}, and no slot has the serial of ours.`
    : ` S${holds.slice(1)}.`
}

/** A call that the library refused while opening. */
export function callRefused(profile: KeyStoreProfile, failure: CallFailure): AppError {
  const ckr = ckrOfFailure(failure)
  if (ckr === null) {
    const detail = failure.call === 'dlopen' ? `The library could not be loaded: ${failure.message}` : failure.message
    return new AppError('key-store-unavailable', detail, { cure: 'Check the path of the library.', cause: failure })
  }
  const { say, cure } = ckrWords(profile, ckr.code)
  const code = ckr.class === 'pin' ? 'pin-rejected' : 'key-store-unavailable'
  return new AppError(code, `${say} (${ckr.name} from ${failure.call})`, { cure, cause: failure })
}

export function moduleEnded(step: string, end: ChildEnd): AppError {
  const how = end.signal === null ? `ended itself (exit code ${end.exitCode})` : `crashed (${end.signal})`
  return new AppError('key-store-unavailable', `The PKCS#11 library ${how} in step ${step}.`, {
    cure: 'Check the version of the HSM client.'
  })
}
