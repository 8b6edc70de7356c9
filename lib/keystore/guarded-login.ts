/** The gate in front of C_Login: everything that can be known without a login is checked before one is spent. */
import type { KeyStoreConfig } from './keystore.ts'
import type { LoginGate } from './login-gate.ts'
import type { LoginRefusal, RefusalReason } from './login-refusal.ts'
import type { LoginAttempt, PinGuard } from './pin-guard.ts'
import type { Confirmation } from './pin-rules.ts'
import { ckrWords, pinProblem } from './profiles/profile.ts'
import { profileOf } from './profiles/registry.ts'
import type { TokenChoice } from './token-facts.ts'

export interface GuardedLogin {
  readonly guard: PinGuard
  /** What a person has confirmed about a PIN that the guard holds back. Never set by a program. */
  readonly confirmed?: Confirmation | undefined
}

/** The name under which logins are counted: the token's serial, or the folder of an NSS store (all have serial 0). */
export function guardedName(config: KeyStoreConfig, serial: string): string {
  return config.profile === 'nss' ? `nss:${config.folder}` : serial
}

/** @param next for C_SetPIN: the password that takes the place of `pin`; what it answers settles both */
export function guardedLogin(config: KeyStoreConfig, pin: string, login: GuardedLogin, next?: string): LoginGate {
  const profile = profileOf(config)
  let open: LoginAttempt | undefined
  return {
    async ask(choice, madeNow) {
      const early = refuseEarly(config, pin, choice, madeNow)
      if (early !== null) return { refusal: early }
      const name = guardedName(config, choice.found ? choice.token.serial : '')
      if (madeNow || !choice.found) {
        // The password of a store that is made now is chosen, not guessed; an older store there is gone.
        await login.guard.forget(name)
        return { pin }
      }
      const { flags, label } = choice.token
      const policy = { locks: profile.locksOnWrongPins, confirmed: login.confirmed ?? false, label }
      const answer = await login.guard.beforeLogin(name, pin, flags, policy, next)
      if ('refusal' in answer) return answer
      open = answer.attempt
      return { pin }
    },
    async answered(outcome) {
      open?.settle(outcome)
      open = undefined
    }
  }
}

/** Whatever is wrong before the login costs none. */
function refuseEarly(config: KeyStoreConfig, pin: string, choice: TokenChoice, madeNow: boolean): LoginRefusal | null {
  const shape = pinProblem(profileOf(config), pin)
  if (shape !== null) return refusal('pin-shape', shape, 'Correct the password.')
  if (!choice.found)
    return refusal('token-not-found', 'The token was not found.', 'Choose one of the tokens in the list.')
  const { token, labelAgrees, slotAgrees, by } = choice
  // Before its label: a blank token has none.
  if (!token.flags.tokenInitialized && !madeNow) {
    return refusal('not-initialized', 'The token is not initialised.', 'Run `par init -label <name>` in lunacm.')
  }
  if (!labelAgrees) {
    const say = `The token with serial ${token.serial} is now called "${token.label}".`
    return refusal('label-differs', say, 'Choose the partition again.')
  }
  // With a known serial the slot is only a hint; before, the typed slot and label must mean the same token.
  if (by !== 'serial' && !slotAgrees) {
    const say = `The partition "${token.label}" is in slot ${token.slot}.`
    return refusal('slot-differs', say, `Enter slot ${token.slot}, or choose another partition.`)
  }
  if (!token.flags.userPinInitialized && !madeNow) {
    const { say, cure } = ckrWords(profileOf(config), 0x102)
    return refusal('user-pin-not-initialized', say, cure)
  }
  return null
}

function refusal(reason: RefusalReason, say: string, cure: string): LoginRefusal {
  return { reason, say, cure, failures: 0 }
}
