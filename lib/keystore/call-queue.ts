/** Calls that wait for the agent: bounded, sent in batches, so many under way as keep it busy. Knows nothing of processes. */
import { AppError } from '../errors/app-error.ts'
import type { AgentAnswer, AgentCall } from './agent-protocol.ts'

interface Waiting {
  readonly call: AgentCall
  readonly resolve: (value: unknown) => void
  readonly reject: (error: AppError) => void
}

export interface CallQueueOptions {
  readonly send: (calls: readonly AgentCall[]) => void
  /** The agent said nothing for this long although calls are under way: the whole process hangs. */
  readonly silenceMs: number
  readonly onSilence: (ms: number) => void
}

const mostWaiting = 1_000
/** Two for each session keep all of them busy; a fast token takes more at once. */
const leastUnderWay = 128
const underWayPerSession = 4

export class CallQueue {
  readonly #options: CallQueueOptions
  #waiting: Waiting[] = []
  readonly #underWay = new Map<number, Waiting>()
  #mostUnderWay = leastUnderWay
  #heardAt = 0
  #watch: NodeJS.Timeout | undefined
  #sending = false
  #broken: AppError | undefined

  constructor(options: CallQueueOptions) {
    this.#options = options
  }

  /** @throws AppError key-store-unavailable when too many wait, or the agent is gone */
  ask(call: AgentCall): Promise<unknown> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (this.#waiting.length >= mostWaiting) {
      const cure = 'Try again in a moment.'
      return Promise.reject(new AppError('key-store-unavailable', 'Too many calls wait for the key store.', { cure }))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, resolve, reject })
      this.sendSoon()
    })
  }

  /** How many sessions the agent works with. */
  sessions(count: number): void {
    this.#mostUnderWay = Math.max(leastUnderWay, count * underWayPerSession)
  }

  /** The agent said something. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  answered(answers: readonly AgentAnswer[]): void {
    for (const answer of answers) {
      const waiting = this.#taken(answer.call)
      if (answer.ok) waiting?.resolve(answer.value)
      else {
        const { code, detail, cure, failure } = answer.problem
        const more = cure === '' ? { cause: failure } : { cause: failure, cure }
        waiting?.reject(new AppError(code, detail, more))
      }
    }
    this.sendSoon()
  }

  /** Of several that come together `sendSoon` follows the last. */
  signed(call: number, signature: Uint8Array): void {
    this.#taken(call)?.resolve(signature)
  }

  #taken(call: number): Waiting | undefined {
    const waiting = this.#underWay.get(call)
    this.#underWay.delete(call)
    return waiting
  }

  /** Rejects everything: what was sent with `sent`, what was not with `unsent`; later calls too. */
  breakOff(sent: AppError, unsent: AppError): void {
    clearTimeout(this.#watch)
    this.#broken = unsent
    for (const { reject } of this.#underWay.values()) reject(sent)
    for (const { reject } of this.#waiting) reject(unsent)
    this.#underWay.clear()
    this.#waiting = []
  }

  /** Calls of the same turn of the event loop go together. */
  sendSoon(): void {
    if (this.#sending || this.#waiting.length === 0) return
    this.#sending = true
    setImmediate(() => {
      this.#sending = false
      this.#send()
    })
  }

  #send(): void {
    const room = this.#mostUnderWay - this.#underWay.size
    if (room <= 0 || this.#waiting.length === 0) return
    const batch = this.#waiting.splice(0, room)
    if (this.#underWay.size === 0) this.heard()
    for (const waiting of batch) this.#underWay.set(waiting.call.call, waiting)
    this.#options.send(batch.map(({ call }) => call))
    if (this.#watch === undefined) this.#watchLater(this.#options.silenceMs)
  }

  #watchLater(ms: number): void {
    this.#watch = setTimeout(() => {
      this.#watch = undefined
      if (this.#underWay.size === 0) return
      const left = this.#heardAt + this.#options.silenceMs - performance.now()
      if (left > 0) this.#watchLater(Math.ceil(left))
      else this.#options.onSilence(this.#options.silenceMs)
    }, ms)
    this.#watch.unref()
  }
}
