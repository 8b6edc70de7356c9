/**
 * The keeper thread of the hsm-agent: it loads the library, logs in, holds the anchor session and looks keys up. Started by
 * agent-threads.ts; nothing else may import this program.
 */
import { flushCompileCache } from 'node:module'
import { parentPort } from 'node:worker_threads'
import { refusal } from './agent-job-answer.ts'
import { type KeeperJob, KeeperWork, openToken } from './agent-keeper.ts'
import type { FromThread, Job, JobAnswer, ToThread } from './agent-thread-protocol.ts'
import { SessionWork } from './agent-work.ts'
import { attempt, CallRefused } from './module.ts'

let step = 'load'
let entered = () => {}
let work: { readonly keeper: KeeperWork; readonly session: SessionWork; readonly finalize: () => void } | undefined
/** The permission to log in. */
const permission = Promise.withResolvers<string>()

function tell(message: FromThread): void {
  parentPort?.postMessage(message)
}

async function enter(name: string): Promise<void> {
  step = name
  const told = Promise.withResolvers<void>()
  entered = told.resolve
  tell({ kind: 'step', step })
  await told.promise
}

async function obey(message: ToThread): Promise<void> {
  switch (message.kind) {
    case 'keep': {
      const { choices, copyKeysToSession } = message.request
      flushCompileCache()
      const token = await openToken(message.request, { tell, enter, permitted: () => permission.promise })
      if (token === null) return
      work = {
        keeper: new KeeperWork(token, copyKeysToSession),
        // When the token has no session for a worker, the anchor does the work.
        session: new SessionWork(token.library, token.slot, token.anchor, choices),
        finalize: () => attempt('C_Finalize', () => token.library.C_Finalize())
      }
      return
    }
    case 'enter':
      return entered()
    case 'login':
      return permission.resolve(message.pin)
    case 'learn':
      return work?.session.learn(message.key)
    case 'jobs':
      for (const job of message.jobs) {
        const began = performance.now()
        const answers = [await answer(job)]
        tell({ kind: 'answers', answers, ms: performance.now() - began, last: job === message.jobs.at(-1) })
      }
      return
    case 'forget':
      return work?.session.forget(message.key)
    case 'finalize':
      work?.finalize()
      return tell({ kind: 'finalized' })
  }
}

async function answer(job: Job): Promise<JobAnswer> {
  try {
    return { job: job.job, ok: true, value: isKeepers(job) ? await work?.keeper.run(job) : work?.session.run(job) }
  } catch (thrown) {
    // The anchor cannot be replaced, since it holds the login: no second try here, and after a half done operation no further job.
    const { problem, again } = refusal(job.op, thrown)
    const spoiled = again && !isKeepers(job)
    return { job: job.job, ok: false, problem: spoiled ? { ...problem, ...gone } : problem, again: false }
  }
}

const gone = { code: 'key-store-unavailable', fatal: true } as const

const keepers: ReadonlySet<string> = new Set([
  'look',
  'taken',
  'destroy',
  'isEmpty',
  'ping'
] satisfies KeeperJob['op'][])

function isKeepers(job: Job): job is Extract<Job, KeeperJob> {
  return keepers.has(job.op)
}

parentPort?.on('message', (message: ToThread) => {
  obey(message).catch((error: unknown) => {
    if (!(error instanceof CallRefused)) throw error
    tell({ kind: 'not-opened', step, failure: error.failure })
  })
})
