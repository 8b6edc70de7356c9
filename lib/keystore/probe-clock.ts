/** The deadlines of a probe: one for the whole of it, and one for each of its steps. */
import { Countdown } from './countdown.ts'
import type { ProbeStep } from './probe-messages.ts'

/**
 * The part of the whole time that a step may take. A Luna client gives a call up after 20 s by itself, and says why: the
 * steps that go over the network have 21 s of its 30 s, so that its own answer comes first.
 */
const shares: Readonly<Record<ProbeStep, number>> = {
  file: 1,
  turn: 1,
  load: 0.5,
  initialize: 0.7,
  slots: 0.7,
  mechanisms: 0.7,
  session: 0.7,
  login: 0.7,
  'aes-gcm': 0.7,
  'aes-kw': 0.7,
  'aes-kwp': 0.7,
  'ec-p256': 0.7,
  // A key of 2,048 bits may take several seconds to be found.
  'rsa-2048': 0.8,
  random: 0.5,
  sensitive: 0.5,
  'master-key': 0.7,
  logout: 0.3,
  finalize: 0.3
}

export function stepDeadlineMs(step: ProbeStep, wholeMs: number): number {
  return Math.round(wholeMs * shares[step])
}

export class ProbeClock {
  readonly #wholeMs: number
  readonly #onLate: (ms: number) => void
  readonly #whole: Countdown
  #step: Countdown | undefined

  /** @param onLate told once for each deadline that passes, with the milliseconds that it gave */
  constructor(wholeMs: number, onLate: (ms: number) => void) {
    this.#wholeMs = wholeMs
    this.#onLate = onLate
    this.#whole = new Countdown(wholeMs, () => onLate(wholeMs))
  }

  enter(step: ProbeStep): void {
    this.#step?.stop()
    const ms = stepDeadlineMs(step, this.#wholeMs)
    this.#step = new Countdown(ms, () => this.#onLate(ms))
  }

  /** The library does nothing: somebody else is waited for. */
  pause(): void {
    this.#whole.pause()
    this.#step?.stop()
    this.#step = undefined
  }

  resume(): void {
    this.#whole.resume()
  }

  stop(): void {
    this.#whole.stop()
    this.#step?.stop()
  }
}
