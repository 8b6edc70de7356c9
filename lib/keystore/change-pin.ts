/**
 * A new Crypto Officer password (C_SetPIN), for the initial one that is good for the first login only (CKR_PIN_EXPIRED,
 * guide item 13) or any other. In a one-shot child; the guard counts the login and the change like any login.
 */
import { AppError } from '../errors/app-error.ts'
import type { ChangeStep, FromChangeChild, ToChangeChild } from './change-pin-messages.ts'
import { changeRefused, isAboutNewPin, refuseBadChange } from './change-pin-problems.ts'
import type { CallFailure } from './ckr-error.ts'
import { Countdown } from './countdown.ts'
import { inspectModuleFile } from './elf.ts'
import { guardedLogin } from './guarded-login.ts'
import type { KeyStoreConfig } from './keystore.ts'
import { loginOutcome } from './login-gate.ts'
import { type ModuleChild, startModuleChild } from './module-child.ts'
import { moduleStart } from './module-start.ts'
import { callRefused, loginRefused, moduleEnded } from './open-problems.ts'
import type { PinGuard } from './pin-guard.ts'
import type { Confirmation } from './pin-rules.ts'
import type { KeyStoreProfile } from './profiles/profile.ts'
import { profileOf } from './profiles/registry.ts'
import type { SlotFacts, TokenChoice } from './token-facts.ts'
import { takeTurn } from './turns.ts'

export interface PinChange {
  readonly from: string
  readonly to: string
}

export interface ChangePinOptions {
  readonly guard: PinGuard
  readonly confirmed?: Confirmation | undefined
  /** Awaited after the login, before C_SetPIN is sent: put the new password where a kill does not lose it. */
  readonly beforeChange?: ((token: SlotFacts) => Promise<void>) | undefined
  readonly onStep?: ((step: ChangeStep) => void) | undefined
  /** The profile's by default; milliseconds. */
  readonly deadlineMs?: number | undefined
}

/** `reason` of the AppError when C_SetPIN was sent and not answered: the token has the old password or the new one. */
export const changeUnanswered = 'change-unanswered'

const pinExpired = 0xa3

/**
 * One login with the old password, then C_SetPIN; the guard knows both afterwards: the new one as accepted, the old one
 * as rejected. The Partition SO is never logged in.
 * @throws AppError invalid-input (shape, the same again, or no HSM), pin-rejected, conflict (another token than the one
 *   meant), key-store-unavailable or deadline-exceeded (with reason changeUnanswered when it may have happened all the same)
 */
export async function changePin(config: KeyStoreConfig, change: PinChange, options: ChangePinOptions): Promise<void> {
  const profile = profileOf(config)
  refuseBadChange(profile, change)
  const start = moduleStart(config, 'write')
  const file = await inspectModuleFile(start.module)
  if (file.problem !== null) {
    throw new AppError('key-store-unavailable', `The library ${start.module} cannot be used (${file.problem}).`)
  }
  await takeTurn(start.module, () => new Change(config, change, options).run(start))
}

class Change {
  readonly #change: PinChange
  readonly #options: ChangePinOptions
  readonly #profile: KeyStoreProfile
  readonly #loginGate: ReturnType<typeof guardedLogin>
  readonly #changeGate: ReturnType<typeof guardedLogin>
  readonly #clock: Countdown
  readonly #child: ModuleChild
  #choice: TokenChoice | undefined
  #step: ChangeStep = 'load'
  /** What was sent and not answered. */
  #open: 'login' | 'change' | null = null
  /** How it ended; the first word counts. */
  #outcome: AppError | 'done' | undefined

  constructor(config: KeyStoreConfig, change: PinChange, options: ChangePinOptions) {
    this.#change = change
    this.#options = options
    this.#profile = profileOf(config)
    const start = moduleStart(config, 'write')
    const { guard, confirmed, deadlineMs = this.#profile.deadlineMs(start.module) } = options
    this.#loginGate = guardedLogin(config, change.from, { guard, confirmed })
    this.#changeGate = guardedLogin(config, change.from, { guard, confirmed }, change.to)
    this.#child = startModuleChild(new URL('./change-pin-child.ts', import.meta.url), start.environment)
    this.#clock = new Countdown(deadlineMs, () => {
      const detail = `The library did not answer within ${deadlineMs / 1000} s (${this.#step}).`
      this.#end(new AppError('deadline-exceeded', detail))
    })
  }

  async run(start: ReturnType<typeof moduleStart>): Promise<void> {
    let handling = Promise.resolve()
    this.#child.process.on('message', (message: FromChangeChild) => {
      handling = handling
        .then(() => this.#handle(message))
        .catch((error: unknown) => {
          this.#end(
            error instanceof AppError ? error : new AppError('internal', 'No record was kept.', { cause: error })
          )
        })
    })
    this.#send({ kind: 'request', start })
    const gone = await this.#child.gone
    this.#clock.stop()
    await handling
    await this.#settleOpen()
    const outcome = this.#outcome ?? moduleEnded(this.#step, gone)
    if (outcome !== 'done') throw outcome
  }

  async #handle(message: FromChangeChild): Promise<void> {
    switch (message.kind) {
      case 'step':
        this.#step = message.step
        return this.#options.onStep?.(message.step)
      case 'may-i-log-in':
        return await this.#permitLogin(message.choice)
      case 'login-answered':
        return await this.#permitChange(message.failure)
      case 'changed':
        return await this.#changed(message.failure)
      case 'refused':
        return this.#end(callRefused(this.#profile, message.failure))
    }
  }

  async #permitLogin(choice: TokenChoice): Promise<void> {
    this.#choice = choice
    this.#clock.pause()
    const answer = await this.#loginGate.ask(choice, false)
    this.#clock.resume()
    if ('refusal' in answer) return this.#end(loginRefused(answer.refusal, choice))
    if (!this.#child.process.connected) return await this.#loginGate.answered('undecided')
    this.#open = 'login'
    this.#send({ kind: 'login', from: this.#change.from })
  }

  async #permitChange(failure: CallFailure | null): Promise<void> {
    this.#open = null
    await this.#loginGate.answered(loginOutcome(failure))
    if (failure !== null && failure.code !== pinExpired) return this.#end(callRefused(this.#profile, failure))
    const choice = this.#choice
    if (choice?.found !== true) return
    this.#clock.pause()
    // First the record that something is under way, then the password where a kill does not lose it, then C_SetPIN.
    const answer = await this.#changeGate.ask(choice, false)
    if ('refusal' in answer) return this.#end(loginRefused(answer.refusal, choice))
    try {
      await this.#options.beforeChange?.(choice.token)
    } catch (error) {
      await this.#changeGate.answered('undecided')
      throw error
    }
    if (!this.#child.process.connected) return await this.#changeGate.answered('undecided')
    this.#open = 'change'
    this.#clock.resume()
    this.#send({ kind: 'change', from: this.#change.from, to: this.#change.to })
  }

  async #changed(failure: CallFailure | null): Promise<void> {
    this.#open = null
    await this.#changeGate.answered(isAboutNewPin(failure) ? 'undecided' : loginOutcome(failure))
    this.#end(failure === null ? 'done' : changeRefused(this.#profile, failure))
  }

  /** Sent, and no answer came. */
  async #settleOpen(): Promise<void> {
    const open = this.#open
    this.#open = null
    if (open === 'login') return await this.#loginGate.answered('lost')
    if (open !== 'change') return
    await this.#changeGate.answered('lost')
    this.#outcome = new AppError('key-store-unavailable', 'The new password was sent and no answer came.', {
      reason: changeUnanswered,
      cause: this.#outcome === 'done' ? undefined : this.#outcome,
      cure: 'The partition has the old password or the new one: enter the new one first.'
    })
  }

  #end(outcome: AppError | 'done'): void {
    this.#outcome ??= outcome
    this.#clock.stop()
    this.#child.kill()
  }

  #send(message: ToChangeChild): void {
    if (this.#child.process.connected) this.#child.process.send(message, () => undefined)
  }
}
