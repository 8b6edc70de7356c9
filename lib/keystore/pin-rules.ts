/**
 * The PIN rule as a pure decision: whether a login may be sent.
 * Ten wrong logins lock a Luna partition, under the default policy 15 without a way back (domain.md A2).
 */
import type { LoginRefusal, RefusalReason } from './login-refusal.ts'
import type { TokenFlags } from './token-facts.ts'

/** What is remembered about this token and this PIN. */
export interface PinHistory {
  /** Logins since the last success that were rejected, or whose answer never came. */
  readonly failures: number
  readonly lastFailureAt: number
  readonly thisPinRejected: boolean
  /** Times that this PIN was sent and no answer came. */
  readonly thisPinInterrupted: number
  /** This PIN is the one that was accepted last. */
  readonly thisPinAccepted: boolean
}

export interface LoginPolicy {
  /** The token locks after wrong PINs; false for NSS. */
  readonly locks: boolean
  /** A person has confirmed, in words, to send it all the same. Never set by a program. */
  readonly confirmed: boolean
}

/** Known failures after which only a person's confirmation lets another login through (security.md A16). */
const budget = 3
const confirmCure = 'Check the password with the Crypto Officer, then confirm to send it all the same.'

/** The decision, in order: what the token says of itself, then what we remember. Null: the login may be sent. */
export function refuseLogin(
  flags: TokenFlags,
  history: PinHistory,
  policy: LoginPolicy,
  now: number
): LoginRefusal | null {
  const { failures } = history
  const refusal = (reason: RefusalReason, say: string, cure: string): LoginRefusal => ({ reason, say, cure, failures })
  if (flags.userPinLocked) {
    return refusal(
      'locked',
      'The Crypto Officer is locked.',
      'The Partition SO can run `role resetpw -name co` only if HSM policy 15 was on before; otherwise initialise the partition again and restore the backup.'
    )
  }
  if (flags.userPinFinalTry) {
    return refusal(
      'final-try',
      'One more wrong password would lock the partition, so none was sent.',
      'Log in once with the right password in lunacm (`role login -name co`); that resets the counter.'
    )
  }
  if (history.thisPinRejected && !policy.confirmed) {
    return refusal(
      'same-pin-rejected-before',
      'This password was rejected before, so it was not sent again.',
      confirmCure
    )
  }
  if (history.thisPinInterrupted > 0 && !policy.confirmed) {
    // The token tells whether the lost answer was a rejection (COUNT_LOW). An untold one is tried once more, not twice.
    const tried = history.thisPinAccepted ? 0 : history.thisPinInterrupted
    if (flags.userPinCountLow || tried > 1) {
      return refusal('interrupted-before', 'This password was sent before and the answer never came.', confirmCure)
    }
  }
  if (failures >= budget && !policy.confirmed) {
    if (policy.locks) {
      return refusal('too-many', `${failures} logins have failed since the last one that worked.`, confirmCure)
    }
    const retryAfterMs = history.lastFailureAt + slowdown(failures) - now
    if (retryAfterMs > 0) {
      const seconds = Math.ceil(retryAfterMs / 1000)
      const say = `${failures} logins have failed since the last one that worked.`
      return { ...refusal('too-soon', say, `Try again in ${seconds} s.`), retryAfterMs }
    }
  }
  return null
}

/** 1, 2, 4 ... at most 60 s. */
function slowdown(failures: number): number {
  return Math.min(60_000, 1_000 * 2 ** (failures - budget))
}
