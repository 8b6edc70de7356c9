/** One thread of the agent, seen from the main thread: what it was given, and since when it owes an answer. */
import { Worker } from 'node:worker_threads'
import type { AgentProblem } from './agent-protocol.ts'
import type {
  FromThread,
  Job,
  JobAnswer,
  JobName,
  Jobs,
  NumberedKey,
  ShortAnswer,
  ShortJob,
  ToThread
} from './agent-thread-protocol.ts'

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

const programs = {
  keeper: new URL('./agent-keeper-thread.ts', import.meta.url),
  worker: new URL('./agent-worker-thread.ts', import.meta.url)
}
let jobs = 0
/** How long a thread that got no session is left alone. */
const restMs = 1_000

export class ThreadHandle {
  readonly worker: Worker
  /** In the order in which they are done. */
  readonly #given = new Map<number, GivenJob>()
  readonly #known = new Set<number>()
  readonly #wake = new Int32Array(new SharedArrayBuffer(4))
  /** When the job that is being done began, at the earliest. */
  #since = 0
  #restsUntil = 0
  /** Messages with jobs that are not answered yet. */
  batches = 0
  /** A key is being made, which may take seconds: nothing is given to this thread meanwhile. */
  making = false
  /** Average time for a job; slow until it is known. */
  msPerJob = 5

  /** @param hear is given everything but answers; @param answered after each message with answers */
  constructor(kind: keyof typeof programs, hear: (message: FromThread) => void, answered: () => void) {
    this.worker = new Worker(programs[kind], { workerData: { wake: this.#wake } })
    this.worker.on('message', (message: FromThread | ShortAnswer) => {
      if (isShort(message)) {
        const [job, value, ms] = message
        this.#heard(ms, true)
        this.#settle({ job, ok: true, value })
      } else {
        if (message.kind !== 'answers') return hear(message)
        this.#heard(message.ms, message.last)
        for (const answer of message.answers) this.#settle(answer)
      }
      answered()
    })
    // A defect of ours, not of the library: the whole agent ends, and is started again.
    this.worker.on('error', (error) => {
      throw error
    })
  }

  tell(message: ToThread | ShortJob): void {
    this.worker.postMessage(message)
    // A worker sleeps on this word.
    Atomics.add(this.#wake, 0, 1)
    Atomics.notify(this.#wake, 0)
  }

  give(given: readonly GivenJob[]): void {
    if (this.#given.size === 0) this.#since = performance.now()
    this.batches += 1
    const [first] = given
    if (given.length === 1 && first?.op === 'signRaw' && first.key !== null && this.#known.has(first.key.number)) {
      jobs += 1
      this.#given.set(jobs, first)
      const { key, input } = first.ask as Jobs['signRaw']['ask']
      this.tell([jobs, key, input])
      return
    }
    const keys: NumberedKey[] = []
    const list = given.map((one): Job => {
      jobs += 1
      this.#given.set(jobs, one)
      if (one.op === 'generate') this.making = true
      if (one.key !== null && !this.#known.has(one.key.number)) {
        this.#known.add(one.key.number)
        keys.push(one.key)
      }
      return { job: jobs, op: one.op, ask: one.ask } as Job
    })
    this.tell({ kind: 'jobs', keys, jobs: list })
  }

  forget(key: number): void {
    if (this.#known.delete(key)) this.tell({ kind: 'forget', key })
  }

  /** The job that has taken longer than it may; null when there is none. */
  overdue(now: number): GivenJob | null {
    const [first] = this.#given.values()
    return first !== undefined && now - this.#since > first.deadlineMs ? first : null
  }

  get rests(): boolean {
    return this.#restsUntil > 0 && performance.now() < this.#restsUntil
  }

  #heard(ms: number, last: boolean): void {
    this.#since = performance.now()
    this.msPerJob = (this.msPerJob + ms) / 2
    if (last) this.batches -= 1
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

function isShort(message: FromThread | ShortAnswer): message is ShortAnswer {
  return Array.isArray(message)
}
