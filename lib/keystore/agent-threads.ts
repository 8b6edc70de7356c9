/**
 * The agent's threads: the keeper, and workers that are added until there are as many as was asked for or as the token allows.
 * A worker has one message with jobs under way and a second one waiting, so that it never waits for us; jobs of a fast token
 * travel together. Making keys takes at most half of the workers, so it does not hold up signing.
 */
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import type { AgentProblem, AgentStart } from './agent-protocol.ts'
import { type GivenJob, type Overdue, startThread, ThreadHandle } from './agent-thread-handle.ts'
import type { DeskPlace, FromThread, JobName, Jobs, NumberedKey } from './agent-thread-protocol.ts'
import { type CallFailure, ckrOfFailure } from './ckr-error.ts'
import { newDesk, type SignDesk } from './sign-desk.ts'
import type { SignCall } from './sign-frames.ts'

/** From startThread; nobody has spoken to them yet. */
export interface FirstThreads {
  readonly keeper: Worker
  readonly worker: Worker
}

export interface AgentThreadsOptions {
  /** What threads say while the token is being opened; `kept` comes when the first worker is there too. */
  readonly hear: (message: FromThread) => void
  readonly sessions: (count: number) => void
  readonly unsigned: (call: UnsignedCall) => void
}

/** A call from the desk that somebody else must answer. */
export interface UnsignedCall extends SignCall {
  /** Number of the key as the worker knew it. */
  readonly key: number
  readonly problem: AgentProblem
  readonly again: boolean
}

/** Making a key may take long in an HSM; a call that is killed might have made it all the same. */
const generateDeadlineMs = 120_000
/** Far more than come at once (call-queue.ts), for each session and for all. */
const slotsPerSession = 8
const leastSlots = 256
/** A message should hold about this much work: less costs more messages, more makes others wait. */
const batchMs = 1
const mostInBatch = 32
/** How often main looks whether the desk is empty, when it closes. */
const lookMs = 2

export class AgentThreads {
  /**
   * Who verifies signatures. A thread for each core does it best where it signs. Many more threads, for a token far away, share
   * few cores: then one thread that does it all the time does it at a third of the cost.
   */
  readonly #threadsVerify: boolean
  readonly #desk: SignDesk
  readonly #verifier: ThreadHandle | null
  /** Keys that are used at the desk: every thread there must know them. */
  readonly #taught = new Map<number, NumberedKey>()
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

  constructor({ keeper, worker }: FirstThreads, request: AgentStart, options: AgentThreadsOptions) {
    this.#options = options
    this.#request = request
    this.#threadsVerify = request.sessions <= 2 * availableParallelism()
    this.#desk = newDesk(request.sessions, powerOfTwo(Math.max(leastSlots, request.sessions * slotsPerSession)))
    const { verifier } = this.#desk
    this.#verifier = this.#threadsVerify ? null : this.#handle(startThread('verifier'), verifier)
    this.#verifier?.tell({ kind: 'verify', place: this.#place(verifier) })
    this.#keeper = this.#handle(keeper, null)
    this.#next = this.#handle(worker, this.#workers.length)
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

  /** False when this one must be given to a thread as a job. The call is answered on the pipe, or comes back as unsigned. */
  sign(key: NumberedKey, call: number, input: Buffer, body: Buffer): boolean {
    const [first] = this.#workers
    if (first === undefined || first === this.#keeper) return false
    if (!this.#taught.has(key.number)) {
      this.#taught.set(key.number, key)
      for (const thread of this.#atDesk()) thread.teach(key)
    }
    return this.#desk.put(call, key.number, input, body)
  }

  /** How many signatures were answered from the desk, modulo 2^32. */
  get released(): number {
    return this.#desk.released
  }

  /** Signatures are under way at the desk. */
  get signing(): boolean {
    return this.#desk.busy
  }

  forget(key: number): void {
    this.#taught.delete(key)
    for (const thread of [this.#keeper, ...this.#atDesk()]) thread.forget(key)
  }

  #atDesk(): ThreadHandle[] {
    return this.#verifier === null ? this.#workers : [this.#verifier, ...this.#workers]
  }

  overdue(now: number): Overdue | null {
    for (const thread of [this.#keeper, ...this.#workers]) {
      const job = thread.overdue(now, this.#request.callDeadlineMs)
      if (job !== null) return job
    }
    return null
  }

  /** Every job that was given is answered first. */
  async finalize(): Promise<void> {
    if (this.#busy()) await new Promise<void>((resolve) => (this.#idle = resolve))
    // It is left without a word to us.
    while (this.#desk.busy) await pause(lookMs)
    this.#keeper.tell({ kind: 'finalize' })
  }

  /** @param at its number at the desk; null: it has none */
  #handle(worker: Worker, at: number | null): ThreadHandle {
    const thread: ThreadHandle = new ThreadHandle(
      worker,
      at === null ? null : { desk: this.#desk, thread: at },
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
        for (const key of this.#taught.values()) from.teach(key)
        this.#grown()
        break
      case 'not-joined':
        this.#refused(from, message.failure)
        break
      case 'unsigned': {
        const { slot, problem, again } = message
        const [call, key, body] = [
          this.#desk.callOf(slot),
          this.#desk.keyOf(slot),
          Buffer.from(this.#desk.bodyOf(slot))
        ]
        this.#desk.leave(slot)
        this.#options.unsigned({ call, key, body, problem, again })
        break
      }
      default:
        this.#options.hear(message)
        if (message.kind === 'step') from.tell({ kind: 'enter' })
    }
  }

  #place(thread: number): DeskPlace {
    return { desk: this.#desk.memory, thread, verifies: this.#threadsVerify }
  }

  /** Lets the thread that is started open its session. */
  #join(): void {
    const kept = this.#kept
    if (kept === null) return
    const { start, choices } = this.#request
    const place = this.#place(this.#workers.length)
    this.#next?.tell({ kind: 'join', module: start.module, slot: kept.slot, choices, place })
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
    this.#next = this.#handle(startThread('worker'), this.#workers.length)
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
      thread.give(this.#waiting.splice(0, Math.min(inMessage(thread.msPerJob), share)))
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

function powerOfTwo(atLeast: number): number {
  return 2 ** Math.ceil(Math.log2(atLeast))
}

function isKeepers(op: JobName): boolean {
  return op === 'look' || op === 'taken' || op === 'destroy' || op === 'isEmpty' || op === 'ping'
}
