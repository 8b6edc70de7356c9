/** The two ways in which a job stands in the way of something: it was cancelled, and another one is under way. */
import { AppError } from '../../../lib/errors/app-error.ts'
import type { JobBegun } from './job.ts'

const cancelReason = 'cancelled'

/** What the work of a cancelled job throws. */
export function cancelled(): AppError {
  return new AppError('conflict', 'It was cancelled.', {
    reason: cancelReason,
    cure: 'Press Next again: answers that were saved are kept, and it goes on from where it stopped.'
  })
}

export function isCancelled(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.reason === cancelReason
}

/** Refuses a second job; says which one is under way, since when, and who asked for it. */
export class UnderWay extends AppError {
  readonly job: string

  constructor({ id, title, startedAt, actor }: Pick<JobBegun, 'id' | 'title' | 'startedAt' | 'actor'>) {
    super('conflict', `${title} is under way since ${clock(startedAt)}, ${askedBy(actor)}.`, {
      reason: 'under-way',
      cure: `Wait until it has ended, or follow and cancel it: /setup/jobs/${id}`
    })
    this.job = id
  }
}

/** "asked for by the browser" */
export function askedBy(actor: string): string {
  if (actor === 'keyscaler') return 'taken up when keyscaler was started'
  return `asked for by ${actor === 'browser' ? 'the browser' : actor === 'script' ? 'a script' : 'an answers file'}`
}

/** UTC: who reads it may sit elsewhere. */
function clock(iso: string): string {
  return `${iso.slice(11, 19)} UTC`
}
