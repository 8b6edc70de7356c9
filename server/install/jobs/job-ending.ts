/** How a job has ended, from what its work came to. */
import { AppError } from '../../../lib/errors/app-error.ts'
import { type Problem, problemOf } from '../../../lib/service/problems.ts'
import type { StepId } from '../../steps/step.ts'
import { isCancelled } from './cancelled.ts'
import type { ApplyRest, JobEnd } from './job.ts'

/** How a work that returned has ended; nothing of it: well, and nothing comes after it. */
export interface Ending {
  readonly error?: AppError | undefined
  readonly next?: StepId | null
  readonly finished?: boolean
  readonly resumable?: boolean
  readonly rest?: ApplyRest
}

export function endOf({ error, next = null, finished = false, resumable = false, rest }: Ending, id: string): JobEnd {
  const state = error === undefined ? 'done' : isCancelled(error) ? 'cancelled' : 'failed'
  const problem = error === undefined ? null : problemOfJob(error, id)
  return { state, problem, next, finished, resumable, ...(rest === undefined ? {} : { rest }) }
}

function problemOfJob(error: AppError, id: string): Problem {
  return { ...problemOf(error, id), instance: `urn:job:${id}` }
}

export function asAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('internal', 'Something went wrong.', { cause: thrown })
}
