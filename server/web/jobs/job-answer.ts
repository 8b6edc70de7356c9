/** A job as it is answered: its document with what may be done with it, and the place to which it leads. */
import { hasEnded, type JobDocument, type JobEnd, type JobEvent } from '../../install/jobs/job.ts'

export interface JobLinks {
  readonly self: string
  readonly events: string
  /** Null when it has ended. */
  readonly cancel: string | null
  /** Null when nothing of it can be taken up again. */
  readonly retry: string | null
}

export interface JobAnswer extends Omit<JobDocument, 'rest'> {
  /** Where setup goes on when it has ended well. */
  readonly location: string | null
  readonly links: JobLinks
}

export const jobAddress = (id: string): string => `/setup/jobs/${id}`

/** What Retry would do is said by the problem's cure. */
export function jobAnswer({ rest: _, ...job }: JobDocument): JobAnswer {
  const self = jobAddress(job.id)
  const links = {
    self,
    events: `${self}/events`,
    cancel: hasEnded(job) ? null : `${self}/cancel`,
    retry: job.retryable ? `${self}/retry` : null
  }
  return { ...job, location: locationAfter(job), links }
}

export function locationAfter({
  state,
  next,
  finished
}: Pick<JobDocument, 'state' | 'next' | 'finished'>): string | null {
  if (state !== 'done') return null
  if (finished) return '/'
  return next === null ? null : `/setup/steps/${next}`
}

/** As it is sent: the last one says where to go. */
export function eventAnswer(event: JobEvent): JobEvent & { readonly location?: string | null } {
  return event.type === 'end' ? { ...event, location: locationAfter(event satisfies JobEnd) } : event
}
