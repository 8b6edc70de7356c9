/**
 * A thread of the hsm-agent: the keeper, or a worker with a session of its own. Everything that calls the library runs here, so
 * the agent's main thread goes on listening whatever a call does. Started by agent-threads.ts; nothing else may import this program.
 */
import { parentPort } from 'node:worker_threads'
import { type KeeperJob, KeeperWork, openToken } from './agent-keeper.ts'
import { isWorthAnotherTry, problemOf } from './agent-problem.ts'
import type { FromThread, Job, JobAnswer, ToThread } from './agent-thread-protocol.ts'
import { KeyForgotten, SessionWork } from './agent-work.ts'
import { attempt, CallRefused, loadModule, openUserSession } from './module.ts'

/** Answers are sent at the latest after this time, so that the main thread sees that calls go on. */
const flushMs = 20

let step = 'load'
let keeper: KeeperWork | undefined
let session: SessionWork | undefined
let finalize: (() => void) | undefined
let entered = () => {}
/** The keeper waits for the permission to log in. */
const permission = Promise.withResolvers<string>()

function tell(message: FromThread): void {
  parentPort?.postMessage(message)
}

async function obey(message: ToThread): Promise<void> {
  switch (message.kind) {
    case 'keep': {
      const enter = async (name: string) => {
        step = name
        tell({ kind: 'step', step })
        const told = Promise.withResolvers<void>()
        entered = told.resolve
        await told.promise
      }
      const token = await openToken(message.request, { tell, enter, permitted: () => permission.promise })
      if (token === null) return
      const { choices } = message.request
      keeper = new KeeperWork(token, choices.copyKeysToSession)
      session = new SessionWork(token.library, token.slot, token.anchor, choices)
      finalize = () => attempt('C_Finalize', () => token.library.C_Finalize())
      return
    }
    case 'enter':
      return entered()
    case 'login':
      return permission.resolve(message.pin)
    case 'join': {
      const library = loadModule(message.module)
      const slot = Buffer.from(message.slot)
      session = new SessionWork(library, slot, openUserSession(library, slot), message.choices)
      return tell({ kind: 'joined' })
    }
    case 'jobs':
      session?.learn(message.keys)
      return await runAll(message.jobs)
    case 'forget':
      return session?.forget(message.key)
    case 'finalize':
      finalize?.()
      return tell({ kind: 'finalized' })
  }
}

async function runAll(jobs: readonly Job[]): Promise<void> {
  let answers: JobAnswer[] = []
  const began = performance.now()
  let flushed = began
  for (const [index, job] of jobs.entries()) {
    answers.push(await answer(job))
    const now = performance.now()
    const last = index === jobs.length - 1
    if (!last && now - flushed < flushMs) continue
    tell({ kind: 'answers', answers, ms: (now - began) / (index + 1), last })
    answers = []
    flushed = now
  }
}

async function answer(job: Job): Promise<JobAnswer> {
  try {
    return { job: job.job, ok: true, value: isKeepers(job) ? await keeper?.run(job) : session?.run(job) }
  } catch (thrown) {
    if (thrown instanceof KeyForgotten) {
      const problem = { code: 'internal', detail: 'The key changed.', cure: '', failure: null, fatal: false } as const
      return { job: job.job, ok: false, problem, again: true }
    }
    const problem = problemOf(job.op, thrown)
    const again = isWorthAnotherTry(problem)
    // The anchor cannot be replaced: it holds the login.
    if (keeper !== undefined) return { job: job.job, ok: false, problem, again: false }
    if (problem.failure !== null && (again || !problem.fatal)) session?.replaceSession()
    return { job: job.job, ok: false, problem, again }
  }
}

const keepers: ReadonlySet<string> = new Set(['look', 'taken', 'destroy', 'ping'] satisfies KeeperJob['op'][])

function isKeepers(job: Job): job is Extract<Job, KeeperJob> {
  return keepers.has(job.op)
}

parentPort?.on('message', (message: ToThread) => {
  obey(message).catch((error: unknown) => {
    if (!(error instanceof CallRefused)) throw error
    const { failure } = error
    if (message.kind === 'join') return tell({ kind: 'not-joined', failure })
    tell({ kind: 'not-opened', step, failure })
  })
})
