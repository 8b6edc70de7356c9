/** A job that failed, as the thread answers it. */
import { isWorthAnotherTry, problemOf } from './agent-problem.ts'
import type { Job, JobAnswer } from './agent-thread-protocol.ts'
import { KeyForgotten } from './agent-work.ts'

export function refusedJob(job: Job, thrown: unknown): Extract<JobAnswer, { ok: false }> {
  if (thrown instanceof KeyForgotten) {
    const problem = { code: 'internal', detail: 'The key changed.', cure: '', failure: null, fatal: false } as const
    return { job: job.job, ok: false, problem, again: true }
  }
  const problem = problemOf(job.op, thrown)
  return { job: job.job, ok: false, problem, again: isWorthAnotherTry(problem) }
}
