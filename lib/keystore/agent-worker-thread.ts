/**
 * A worker thread of the hsm-agent: one session, synchronous calls, nothing else. Once it has joined it never returns to its
 * event loop: it takes signatures from the desk, other jobs from its port, and sleeps on a word of shared memory, which costs a tenth
 * of what an event does. Started by agent-threads.ts; nothing else may import this program.
 */
import { flushCompileCache } from 'node:module'
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { AgentAnswers } from './agent-answers.ts'
import { type Refusal, refusal } from './agent-job-answer.ts'
import type { DeskPlace, FromThread, Job, JobAnswer, JobName, SessionJobs, ToThread } from './agent-thread-protocol.ts'
import { SessionWork } from './agent-work.ts'
import { CallRefused, loadModule, openUserSession } from './module.ts'
import { SignDesk } from './sign-desk.ts'
import { dataIn } from './sign-frames.ts'

/** Answers are sent at the latest after this time, so that the main thread sees that calls go on. */
const flushMs = 20
/** How long a worker that got no session leaves the work to others. */
const restMs = 1_000

if (parentPort !== null) join(parentPort)

function join(port: MessagePort): void {
  port.on('message', (message: ToThread) => {
    if (message.kind !== 'join') return
    const tell = (answer: FromThread) => port.postMessage(answer)
    try {
      const library = loadModule(message.module)
      const slot = Buffer.from(message.slot)
      const session = new SessionWork(library, slot, openUserSession(library, slot), message.choices)
      flushCompileCache()
      tell({ kind: 'joined' })
      new WorkerLoop(port, session, message.place).run()
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error
      tell({ kind: 'not-joined', failure: error.failure })
    }
  })
}

class WorkerLoop {
  readonly #port: MessagePort
  readonly #session: SessionWork
  readonly #desk: SignDesk
  readonly #thread: number
  readonly #verifies: boolean
  readonly #answers: AgentAnswers
  /** 0 while there is a session. */
  #restsUntil = 0

  constructor(port: MessagePort, session: SessionWork, { desk, thread, verifies }: DeskPlace) {
    this.#port = port
    this.#session = session
    this.#desk = new SignDesk(desk)
    this.#thread = thread
    this.#verifies = verifies
    this.#answers = new AgentAnswers(this.#desk)
  }

  run(): never {
    const [desk, thread] = [this.#desk, this.#thread]
    desk.setResting(thread, false)
    for (let obeyed = -1; ; ) {
      const seen = desk.wakes(thread)
      if (seen !== obeyed) this.#obey()
      obeyed = seen
      if (this.#restsUntil > 0 && !desk.allRest) {
        const restMore = this.#restsUntil - performance.now()
        if (restMore > 0) {
          desk.sleep(thread, seen, restMore)
          continue
        }
      }
      const slot = desk.take()
      if (slot !== null) {
        this.#sign(slot)
        continue
      }
      this.#answers.flush()
      desk.sleepOrTake(thread, seen)
    }
  }

  #obey(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const message: ToThread = next.message
      if (message.kind === 'learn') this.#session.learn(message.key)
      if (message.kind === 'forget') this.#session.forget(message.key)
      if (message.kind === 'jobs') this.#runAll(message.jobs)
    }
  }

  #sign(slot: number): void {
    const [desk, session] = [this.#desk, this.#session]
    const key = desk.keyOf(slot)
    // It may have been put in since we looked for messages, of which the key is one.
    if (!session.knows(key)) this.#obey()
    desk.turn(this.#thread)
    try {
      const room = desk.roomOf(slot)
      const length = session.signInto(key, desk.inputOf(slot), room)
      if (this.#verifies) {
        const data = dataIn(desk.bodyOf(slot))
        this.#answers.add(slot, session.verified(key, data, room.subarray(0, length)))
      } else desk.pass(slot, length)
      if (this.#restsUntil > 0) this.#restOver()
    } catch (thrown) {
      const { problem, again } = this.#refused('sign', thrown)
      this.#tell({ kind: 'unsigned', slot, problem, again })
    }
    desk.turn(this.#thread)
  }

  #runAll(jobs: readonly Job[]): void {
    let answers: JobAnswer[] = []
    let done = 0
    const began = performance.now()
    let flushed = began
    for (const job of jobs as readonly Extract<Job, { op: keyof SessionJobs }>[]) {
      answers.push(this.#answer(job))
      done += 1
      const now = performance.now()
      const last = done === jobs.length
      if (!last && now - flushed < flushMs) continue
      this.#tell({ kind: 'answers', answers, ms: (now - began) / done, last })
      answers = []
      flushed = now
    }
  }

  #answer(job: Extract<Job, { op: keyof SessionJobs }>): JobAnswer {
    try {
      const value = this.#session.run(job)
      if (this.#restsUntil > 0) this.#restOver()
      return { job: job.job, ok: true, value }
    } catch (thrown) {
      return { job: job.job, ok: false, ...this.#refused(job.op, thrown) }
    }
  }

  #refused(op: JobName, thrown: unknown): Refusal {
    const refused = refusal(op, thrown)
    const { failure, fatal } = refused.problem
    if (failure !== null && (refused.again || !fatal)) this.#session.replaceSession()
    if (!this.#session.hasSession) {
      this.#restsUntil = performance.now() + restMs
      this.#desk.setResting(this.#thread, true)
    }
    return refused
  }

  #restOver(): void {
    this.#restsUntil = 0
    this.#desk.setResting(this.#thread, false)
  }

  #tell(message: FromThread): void {
    this.#port.postMessage(message)
  }
}
