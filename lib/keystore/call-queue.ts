/** Calls that wait for the agent: bounded, sent in batches, one batch in flight. Knows nothing of processes. */
import { AppError } from '../errors/app-error.ts'
import type { AgentAnswer, AgentCall } from './agent-protocol.ts'

interface Waiting {
  readonly call: AgentCall
  readonly deadlineMs: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: AppError) => void
}

export interface CallQueueOptions {
  readonly send: (calls: readonly AgentCall[]) => void
  /** No answer came in time, although calls were sent: the agent hangs. */
  readonly onHung: (ms: number) => void
}

const mostWaiting = 1_000
const mostInBatch = 64

export class CallQueue {
  readonly #options: CallQueueOptions
  #waiting: Waiting[] = []
  readonly #inFlight = new Map<number, Waiting>()
  #timer: NodeJS.Timeout | undefined
  #broken: AppError | undefined

  constructor(options: CallQueueOptions) {
    this.#options = options
  }

  /** @throws AppError key-store-unavailable when too many wait, or the agent is gone */
  ask(call: AgentCall, deadlineMs: number): Promise<unknown> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken)
    if (this.#waiting.length >= mostWaiting) {
      const cure = 'Try again in a moment.'
      return Promise.reject(new AppError('key-store-unavailable', 'Too many calls wait for the key store.', { cure }))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, deadlineMs, resolve, reject })
      // Calls of the same turn of the event loop go together.
      if (this.#inFlight.size === 0 && this.#waiting.length === 1) setImmediate(() => this.#sendBatch())
    })
  }

  answered(answers: readonly AgentAnswer[], last: boolean): void {
    for (const answer of answers) {
      const waiting = this.#inFlight.get(answer.call)
      this.#inFlight.delete(answer.call)
      if (answer.ok) waiting?.resolve(answer.value)
      else {
        const { code, detail, cure, failure } = answer.problem
        const more = cure === '' ? { cause: failure } : { cause: failure, cure }
        waiting?.reject(new AppError(code, detail, more))
      }
    }
    if (last) {
      clearTimeout(this.#timer)
      this.#sendBatch()
    } else this.#startTimer()
  }

  /** Rejects everything: what was sent with `sent`, what was not with `unsent`; later calls too. */
  breakOff(sent: AppError, unsent: AppError): void {
    clearTimeout(this.#timer)
    this.#broken = unsent
    for (const { reject } of this.#inFlight.values()) reject(sent)
    for (const { reject } of this.#waiting) reject(unsent)
    this.#inFlight.clear()
    this.#waiting = []
  }

  #sendBatch(): void {
    if (this.#inFlight.size > 0 || this.#waiting.length === 0) return
    const batch = this.#waiting.splice(0, mostInBatch)
    for (const waiting of batch) this.#inFlight.set(waiting.call.call, waiting)
    this.#startTimer()
    this.#options.send(batch.map(({ call }) => call))
  }

  /** The agent answers as it goes, so the longest single call is what may pass without a word. */
  #startTimer(): void {
    clearTimeout(this.#timer)
    if (this.#inFlight.size === 0) return
    const ms = Math.max(...[...this.#inFlight.values()].map(({ deadlineMs }) => deadlineMs))
    this.#timer = setTimeout(() => this.#options.onHung(ms), ms)
  }
}
