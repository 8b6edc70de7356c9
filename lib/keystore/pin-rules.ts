/**
 * The PIN rule as a pure decision: whether a login may be sent.
 * Ten wrong logins lock a Luna partition, under the default policy 15 without a way back (domain.md A2).
 */
import { ckrOf } from './ckr.ts'
import type { LoginRefusal, RefusalReason } from './login-refusal.ts'
import type { TokenFlags } from './token-facts.ts'

/** What is remembered about this token and this PIN. */
export interface PinHistory {
  /** Logins since the last success that were rejected, or whose answer never came. */
  readonly failures: number
  /** Those of them whose answer never came. */
  readonly unanswered: number
  readonly lastFailureAt: number
  readonly thisPinRejected: boolean
  /** Times that this PIN was sent and no answer came. */
  readonly thisPinInterrupted: number
  /** This PIN is the one that was accepted last. */
  readonly thisPinAccepted: boolean
}

/**
 * What a person has confirmed, in words, about a password that is held back; never set by a program. True is `again`.
 * `again`: send it although it was rejected, or was sent and never answered, or three logins have failed.
 * `label`: the name of the partition, typed: send it although it is the last try before the partition locks.
 */
export type Confirmation = boolean | { readonly again?: boolean | undefined; readonly label?: string | undefined }

export interface LoginPolicy {
  /** The token locks after wrong PINs; false for NSS. */
  readonly locks: boolean
  readonly confirmed: Confirmation
  /** The token's own label, which the last try asks for. */
  readonly label: string
}

/** A Luna partition locks after this many wrong logins, or after fewer (partition policy 20). */
export const mostFailures = 10

/** Known failures after which only a person's confirmation lets another login through (security.md A16). */
const budget = 3
const confirmCure = 'Check the password with the Crypto Officer, then confirm to send it all the same.'
const cryptoOfficerLocked = 0xa4

/** The decision, in order: what the token says of itself, then what we remember. Null: the login may be sent. */
export function refuseLogin(
  flags: TokenFlags,
  history: PinHistory,
  policy: LoginPolicy,
  now: number
): LoginRefusal | null {
  const { failures } = history
  const { again, named } = confirmationOf(policy)
  const refusal = (reason: RefusalReason, say: string, cure: string): LoginRefusal => ({ reason, say, cure, failures })
  if (flags.userPinLocked) {
    const { say, cure } = ckrOf(cryptoOfficerLocked)
    return refusal('locked', say, cure)
  }
  if (flags.userPinFinalTry && !named) {
    return refusal(
      'final-try',
      'One more wrong password would lock the partition, so none was sent.',
      'Log in once with the right password in lunacm (`role login -name co`), which sets the counter back; or type the name of the partition to confirm that this password is sent as the last try.'
    )
  }
  if (history.thisPinRejected && !again) {
    return refusal(
      'same-pin-rejected-before',
      'This password was rejected before, so it was not sent again.',
      confirmCure
    )
  }
  if (history.thisPinInterrupted > 0 && !again) {
    // The token tells whether the lost answer was a rejection (COUNT_LOW). An untold one is tried once more, not twice.
    const tried = history.thisPinAccepted ? 0 : history.thisPinInterrupted
    if (flags.userPinCountLow || tried > 1) {
      return refusal('interrupted-before', 'This password was sent before and the answer never came.', confirmCure)
    }
  }
  if (failures >= budget && !again && !named) {
    const reason = history.unanswered < failures ? 'too-many' : 'interrupted-before'
    if (policy.locks) return refusal(reason, failedWords(history), confirmCure)
    const retryAfterMs = history.lastFailureAt + slowdown(failures) - now
    if (retryAfterMs > 0) {
      const seconds = Math.ceil(retryAfterMs / 1000)
      return { ...refusal('too-soon', failedWords(history), `Try again in ${seconds} s.`), retryAfterMs }
    }
  }
  return null
}

/** A login that was killed on its way was not rejected: whoever reads this must know which it was. */
function failedWords({ failures, unanswered }: PinHistory): string {
  const since = 'since the last one that worked'
  if (unanswered === 0) return `${failures} logins have failed ${since}.`
  if (unanswered < failures) {
    return `${failures} logins have failed ${since}: ${failures - unanswered} rejected, ${unanswered} never answered.`
  }
  return `${failures} logins were sent and never answered ${since} (the library or its process ended meanwhile); none is known to be rejected.`
}

function confirmationOf({ confirmed, label }: LoginPolicy): { again: boolean; named: boolean } {
  if (typeof confirmed === 'boolean') return { again: confirmed, named: false }
  const typed = confirmed.label?.trimEnd() ?? ''
  return { again: confirmed.again === true, named: typed !== '' && typed === label.trimEnd() }
}

/** 1, 2, 4 ... at most 60 s. */
function slowdown(failures: number): number {
  return Math.min(60_000, 1_000 * 2 ** (failures - budget))
}
