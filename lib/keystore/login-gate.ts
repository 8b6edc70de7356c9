/** What stands between a child that is ready to log in and the PIN. */
import type { CallFailure } from './ckr-error.ts'
import type { LoginRefusal } from './login-refusal.ts'
import type { TokenChoice } from './token-facts.ts'

/** Asked in our process when the child stands before C_Login; the PIN leaves this process only on its word. */
export interface LoginGate {
  /**
   * May wait for another login at this token; the deadline of the child stands still meanwhile.
   * @param madeNow the store has no PIN yet (or is a scratch one): this PIN becomes its first
   */
  readonly ask: (
    choice: TokenChoice,
    madeNow: boolean
  ) => Promise<{ readonly pin: string } | { readonly refusal: LoginRefusal }>
  /** Told once for each PIN that was given out. */
  readonly answered: (outcome: LoginOutcome) => Promise<void>
}

/**
 * `undecided`: the call failed for a reason that says nothing about the PIN (device error, expired), or was never sent;
 * `lost`: it was sent, and the child died before the answer.
 */
export type LoginOutcome = 'accepted' | 'rejected' | 'undecided' | 'lost'

/** CKR numbers by which the token says that this PIN is wrong, locked or not allowed to log in. */
const rejections: ReadonlySet<number> = new Set([
  0xa0, 0xa1, 0xa2, 0xa4, 0x80000007, 0x8000001a, 0x8000001c, 0x80000067
])

/** @param failure null when C_Login succeeded */
export function loginOutcome(failure: CallFailure | null): LoginOutcome {
  if (failure === null) return 'accepted'
  return failure.code !== null && rejections.has(failure.code) ? 'rejected' : 'undecided'
}
