/**
 * The agent's threads: the keeper, and workers that are added until there are as many as was asked for or as the token allows.
 * A worker has one message with jobs under way and a second one waiting, so that it never waits for us; jobs of a fast token
 * travel together. Making keys takes at most half of the workers, so it does not hold up signing.
 */
import { availableParallelism } from 'node:os'
import type { AgentStart } from './agent-protocol.ts'
import { type GivenJob, ThreadHandle } from './agent-thread-handle.ts'
import type { FromThread, JobName, Jobs, NumberedKey } from './agent-thread-protocol.ts'
import { type CallFailure, ckrOfFailure } from './ckr-error.ts'

export interface AgentThreadsOptions {
  /** What threads say while the token is being opened; `kept` comes when the first worker is there too. */
  readonly hear: (message: FromThread) => void
  readonly sessions: (count: number) => void
}

/** Making a key may take long in an HSM; a call that is killed might have made it all the same. */
const generateDeadlineMs = 120_000
/** A message should hold about this much work: less costs more messages, more makes others wait. */
const batchMs = 1
const mostInBatch = 32

export class AgentThreads {
  /**
   * Who verifies signatures. A thread for each core does it best where it signs. Many more threads, for a token far away, share
   * few cores: then one thread that does it all the time does it at a third of the cost.
   */
  readonly threadsVerify: boolean
  readonly #options: AgentThreadsOptions
  readonly #request: AgentStart
  readonly #keeper: ThreadHandle
  #workers: ThreadHandle[] = []
  /** Started, not joined yet. */
  #next: ThreadHandle | null
  #kept: Extract<FromThread, { kind: 'kept' }> | null = null
  #waiting: GivenJob[] = []
  #keysToMake: GivenJob[] = []
  #idle: (() => void) | null = null

  constructor(request: AgentStart, options: AgentThreadsOptions) {
    this.#options = options
    this.#request = request
    this.threadsVerify = request.sessions <= 2 * availableParallelism()
    this.#keeper = this.#start('keeper')
    // A thread takes longer to start than a local token to open.
    this.#next = this.#start('worker')
    this.#keeper.tell({ kind: 'keep', request })
  }

  logIn(pin: string): void {
    this.#keeper.tell({ kind: 'login', pin })
  }

  /**
   * @param key the key that the job names
   * @param on the thread that must do it, at once
   */
  run<Op extends JobName>(
    op: Op,
    ask: Jobs[Op]['ask'],
    key: NumberedKey | null = null,
    on: ThreadHandle | null = null
  ): Promise<Jobs[Op]['answer']> {
    const deadlineMs = op === 'generate' ? generateDeadlineMs : this.#request.callDeadlineMs
    return new Promise((resolve, reject) => {
      const settle = resolve as (value: unknown) => void
      const job: GivenJob = { op, ask, key, deadlineMs, resolve: settle, reject }
      if (on !== null) return on.give([job])
      if (isKeepers(op)) return this.#keeper.give([job])
      if (op === 'generate') this.#keysToMake.push(job)
      else this.#waiting.push(job)
      this.#pump()
    })
  }

  /** How many signatures of `count` should be one job, so that it is a message of its own and every worker has one. */
  signsInJob(count: number): number {
    if (this.#workers[0] === this.#keeper) return 1
    const slowest = Math.max(...this.#workers.map(({ msPerJob }) => msPerJob))
    return Math.min(inMessage(slowest), Math.ceil(count / Math.max(1, this.#workers.length)))
  }

  forget(key: number): void {
    for (const thread of [this.#keeper, ...this.#workers]) thread.forget(key)
  }

  overdue(now: number): GivenJob | null {
    for (const thread of [this.#keeper, ...this.#workers]) {
      const job = thread.overdue(now)
      if (job !== null) return job
    }
    return null
  }

  /** Every job that was given is answered first. */
  async finalize(): Promise<void> {
    if (this.#busy()) await new Promise<void>((resolve) => (this.#idle = resolve))
    this.#keeper.tell({ kind: 'finalize' })
  }

  #start(kind: 'keeper' | 'worker'): ThreadHandle {
    const thread: ThreadHandle = new ThreadHandle(
      kind,
      (message) => this.#hear(message, thread),
      () => {
        this.#pump()
        if (!this.#busy()) this.#idle?.()
      }
    )
    return thread
  }

  #hear(message: FromThread, from: ThreadHandle): void {
    switch (message.kind) {
      case 'kept':
        this.#kept = message
        this.#join()
        break
      case 'joined':
        this.#workers.push(from)
        this.#grown()
        break
      case 'not-joined':
        this.#refused(from, message.failure)
        break
      default:
        this.#options.hear(message)
        if (message.kind === 'step') from.tell({ kind: 'enter' })
    }
  }

  /** Lets the thread that is started open its session. */
  #join(): void {
    const kept = this.#kept
    if (kept === null) return
    const { start, choices } = this.#request
    this.#next?.tell({ kind: 'join', module: start.module, slot: kept.slot, choices })
  }

  #grown(): void {
    const kept = this.#kept
    if (kept === null) return
    const count = this.#workers.length
    this.#options.sessions(count)
    if (count === 1) this.#options.hear(kept)
    this.#pump()
    this.#next = null
    if (count >= Math.min(this.#request.sessions, kept.most ?? Number.POSITIVE_INFINITY)) return
    this.#next = this.#start('worker')
    this.#join()
  }

  /** The token has no session for this thread: those that there are go on; without any, the anchor does the work. */
  #refused(thread: ThreadHandle, failure: CallFailure): void {
    this.#next = null
    void thread.worker.terminate()
    if (this.#workers.length > 0) return
    if (ckrOfFailure(failure)?.class !== 'capacity') {
      this.#options.hear({ kind: 'not-opened', step: 'session', failure })
      return
    }
    this.#workers = [this.#keeper]
    this.#options.sessions(1)
    if (this.#kept !== null) this.#options.hear(this.#kept)
    this.#pump()
  }

  #pump(): void {
    while (this.#keysToMake.length > 0) {
      const most = Math.max(1, Math.floor(this.#workers.length / 2))
      const thread = this.#leastBusy(2)
      if (thread === null || this.#workers.filter(({ making }) => making).length >= most) break
      thread.give(this.#keysToMake.splice(0, 1))
    }
    while (this.#waiting.length > 0) {
      const thread = this.#leastBusy(2)
      if (thread === null) return
      const share = Math.ceil(this.#waiting.length / this.#workers.length)
      // Many signatures are one job and a message already (signsInJob).
      const bulk = this.#waiting.findIndex(({ op }) => op === 'signMany')
      const most = Math.min(inMessage(thread.msPerJob), share, bulk < 0 ? mostInBatch : Math.max(1, bulk))
      thread.give(this.#waiting.splice(0, most))
    }
  }

  #leastBusy(below: number): ThreadHandle | null {
    let found: ThreadHandle | null = null
    let least = below
    const resting = this.#workers.every(({ rests }) => rests)
    for (const thread of this.#workers) {
      if (thread.making || thread.batches >= least || (!resting && thread.rests)) continue
      found = thread
      least = thread.batches
    }
    return found
  }

  #busy(): boolean {
    return this.#waiting.length > 0 || [this.#keeper, ...this.#workers].some(({ batches }) => batches > 0)
  }
}

function inMessage(msPerJob: number): number {
  return Math.max(1, Math.min(mostInBatch, Math.floor(batchMs / msPerJob)))
}

function isKeepers(op: JobName): boolean {
  return op === 'look' || op === 'taken' || op === 'destroy' || op === 'ping'
}
