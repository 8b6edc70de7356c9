/** One thread of the agent, seen from the main thread: what it was given, and since when it owes an answer. */
import { Worker } from 'node:worker_threads'
import type { AgentProblem } from './agent-protocol.ts'
import type { FromThread, Job, JobAnswer, JobName, Jobs, NumberedKey, ToThread } from './agent-thread-protocol.ts'
import type { SignDesk } from './sign-desk.ts'

/** A job that a thread could not do. */
export class JobRefused extends Error {
  readonly problem: AgentProblem
  /** With the key looked up again it may be tried once more: by `on`, or by any thread when that is null. */
  readonly again: { readonly on: ThreadHandle | null } | null

  constructor(problem: AgentProblem, again: JobRefused['again']) {
    super(problem.detail)
    this.problem = problem
    this.again = again
  }
}

export interface GivenJob {
  readonly op: JobName
  readonly ask: Jobs[JobName]['ask']
  /** The key that `ask` names by its number. */
  readonly key: NumberedKey | null
  /** Milliseconds for the call itself, waiting not counted. */
  readonly deadlineMs: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: JobRefused) => void
}

export type Overdue = Pick<GivenJob, 'op' | 'deadlineMs'>

/** As DeskPlace, seen from main. */
export interface ThreadPlace {
  readonly desk: SignDesk
  readonly thread: number
}

type ThreadKind = keyof typeof programs

const programs = {
  keeper: new URL('./agent-keeper-thread.ts', import.meta.url),
  worker: new URL('./agent-worker-thread.ts', import.meta.url),
  verifier: new URL('./agent-verifier-thread.ts', import.meta.url)
}
let jobs = 0
/** How long a thread that got no session is left alone. */
const restMs = 1_000

/** It loads its code, and does nothing until it is spoken to. */
export function startThread(kind: ThreadKind): Worker {
  return new Worker(programs[kind])
}

export class ThreadHandle {
  readonly worker: Worker
  /** In the order in which they are done. */
  readonly #given = new Map<number, GivenJob>()
  readonly #known = new Set<number>()
  readonly #place: ThreadPlace | null
  /** When the job that is being done began, at the earliest. */
  #since = 0
  #turns = 0
  /** When the turns were seen to change. */
  #turnedAt = 0
  #restsUntil = 0
  /** Messages with jobs that are not answered yet. */
  batches = 0
  /** A key is being made, which may take seconds: nothing is given to this thread meanwhile. */
  making = false
  /** Average time for a job; slow until it is known. */
  msPerJob = 5

  /**
   * @param worker from startThread; nobody has spoken to it yet
   * @param place at the desk; null: it has none
   * @param hear is given everything but answers
   * @param answered after each message with answers
   */
  constructor(worker: Worker, place: ThreadPlace | null, hear: (message: FromThread) => void, answered: () => void) {
    this.#place = place
    this.worker = worker
    this.worker.on('message', (message: FromThread) => {
      if (message.kind !== 'answers') return hear(message)
      this.#since = performance.now()
      this.msPerJob = (this.msPerJob + message.ms) / 2
      if (message.last) this.batches -= 1
      for (const answer of message.answers) this.#settle(answer)
      answered()
    })
    // A defect of ours, not of the library: the whole agent ends, and is started again.
    this.worker.on('error', (error) => {
      throw error
    })
  }

  tell(message: ToThread): void {
    this.worker.postMessage(message)
    this.#place?.desk.wake(this.#place.thread)
  }

  give(given: readonly GivenJob[]): void {
    if (this.#given.size === 0) this.#since = performance.now()
    this.batches += 1
    const list = given.map((one): Job => {
      jobs += 1
      this.#given.set(jobs, one)
      if (one.op === 'generate') this.making = true
      if (one.key !== null) this.teach(one.key)
      return { job: jobs, op: one.op, ask: one.ask } as Job
    })
    this.tell({ kind: 'jobs', jobs: list })
  }

  teach(key: NumberedKey): void {
    if (this.#known.has(key.number)) return
    this.#known.add(key.number)
    this.tell({ kind: 'learn', key })
  }

  forget(key: number): void {
    if (this.#known.delete(key)) this.tell({ kind: 'forget', key })
  }

  /** The operation that has taken longer than it may; null when there is none. */
  overdue(now: number, callDeadlineMs: number): Overdue | null {
    const atDesk = this.#atDesk(now)
    if (atDesk > callDeadlineMs) return { op: 'sign', deadlineMs: callDeadlineMs }
    const [first] = this.#given.values()
    const since = Math.max(this.#since, this.#turnedAt)
    return first !== undefined && now - since > first.deadlineMs ? first : null
  }

  /** For how long it has been in the same call that it took from the desk; 0 when it is in none. */
  #atDesk(now: number): number {
    if (this.#place === null) return 0
    const turns = this.#place.desk.turns(this.#place.thread)
    if (turns !== this.#turns) {
      this.#turns = turns
      this.#turnedAt = now
    }
    return turns % 2 === 0 ? 0 : now - this.#turnedAt
  }

  get rests(): boolean {
    return this.#restsUntil > 0 && performance.now() < this.#restsUntil
  }

  #settle(answer: JobAnswer): void {
    const given = this.#given.get(answer.job)
    this.#given.delete(answer.job)
    if (given?.op === 'generate') this.making = false
    if (answer.ok) {
      given?.resolve(answer.value)
      return
    }
    // It threw its session away, and the token has no other for it now: the others do its work meanwhile.
    const withoutSession = answer.problem.failure?.call === 'C_OpenSession'
    if (withoutSession) this.#restsUntil = performance.now() + restMs
    const on = withoutSession ? null : this
    given?.reject(new JobRefused(answer.problem, answer.again ? { on } : null))
  }
}
