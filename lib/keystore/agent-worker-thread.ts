/**
 * A worker thread of the hsm-agent: one session, synchronous calls, nothing else. Once it has joined it never returns to its
 * event loop: it sleeps on a word of shared memory, which costs a tenth of the work that an event does, and thirty of these
 * share the cores with the callers. Started by agent-threads.ts; nothing else may import this program.
 */
import { flushCompileCache } from 'node:module'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { refusedJob } from './agent-job-answer.ts'
import type {
  FromThread,
  Job,
  JobAnswer,
  SessionJobs,
  ShortAnswer,
  ShortJob,
  ToThread
} from './agent-thread-protocol.ts'
import { type SessionJob, SessionWork } from './agent-work.ts'
import { CallRefused, loadModule, openUserSession } from './module.ts'
import { pack, unpack } from './packed.ts'

/** Answers are sent at the latest after this time, so that the main thread sees that calls go on. */
const flushMs = 20

if (parentPort !== null) join(parentPort)

function join(port: MessagePort): void {
  port.on('message', (message: ToThread) => {
    if (message.kind !== 'join') return
    const tell = (answer: FromThread) => port.postMessage(answer)
    try {
      const library = loadModule(message.module)
      const slot = Buffer.from(message.slot)
      const session = new SessionWork(library, slot, openUserSession(library, slot), message.choices)
      tell({ kind: 'joined' })
      flushCompileCache()
      serve(port, session, tell)
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error
      tell({ kind: 'not-joined', failure: error.failure })
    }
  })
}

function serve(port: MessagePort, session: SessionWork, tell: (message: FromThread) => void): never {
  const wake: Int32Array = workerData.wake
  for (let seen = 0; ; seen = Atomics.load(wake, 0)) {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      const message: ToThread | ShortJob = next.message
      if (isShort(message)) {
        signRaw(message, port, session, tell)
        continue
      }
      if (message.kind === 'forget') session.forget(message.key)
      if (message.kind !== 'jobs') continue
      session.learn(message.keys)
      runAll(message.jobs, session, tell)
    }
    Atomics.wait(wake, 0, seen)
  }
}

function isShort(message: ToThread | ShortJob): message is ShortJob {
  return Array.isArray(message)
}

function signRaw(
  [job, key, input]: ShortJob,
  port: MessagePort,
  session: SessionWork,
  tell: (message: FromThread) => void
) {
  const began = performance.now()
  const one = answer({ job, op: 'signRaw', ask: { key, input } }, session)
  const ms = performance.now() - began
  if (one.ok) port.postMessage([job, one.value as Uint8Array, ms] satisfies ShortAnswer)
  else tell({ kind: 'answers', answers: [one], ms, last: true })
}

function runAll(jobs: readonly Job[], session: SessionWork, tell: (message: FromThread) => void): void {
  let answers: JobAnswer[] = []
  let done = 0
  const began = performance.now()
  let flushed = began
  for (let index = 0; index < jobs.length; index++) {
    const job = jobs[index] as Extract<Job, { op: keyof SessionJobs }>
    if (job.op === 'signMany') {
      const value = signMany(job, session)
      done += value.signatures.lengths.length + (value.refused === null ? 0 : 1)
      answers.push({ job: job.job, ok: true, value })
    } else {
      done += 1
      answers.push(answer(job, session))
    }
    const now = performance.now()
    const last = index === jobs.length - 1
    if (!last && now - flushed < flushMs) continue
    tell({ kind: 'answers', answers, ms: (now - began) / done, last })
    answers = []
    flushed = now
  }
}

function signMany(
  { job, ask }: Extract<Job, { op: 'signMany' }>,
  session: SessionWork
): SessionJobs['signMany']['answer'] {
  const signatures: Uint8Array[] = []
  const until = performance.now() + flushMs
  for (const data of unpack(ask.data)) {
    const one = answer({ job, op: 'sign', ask: { key: ask.key, data } }, session)
    if (!one.ok) return { signatures: pack(signatures), refused: { problem: one.problem, again: one.again } }
    signatures.push(one.value as Uint8Array)
    if (performance.now() > until) break
  }
  return { signatures: pack(signatures), refused: null }
}

function answer(job: Job & SessionJob, session: SessionWork): JobAnswer {
  try {
    return { job: job.job, ok: true, value: session.run(job) }
  } catch (thrown) {
    const refused = refusedJob(job, thrown)
    const { failure, fatal } = refused.problem
    if (failure !== null && (refused.again || !fatal)) session.replaceSession()
    return refused
  }
}
