/**
 * The jobs of an install: begun, watched, cancelled, and looked at afterwards. One that changes something works at a time;
 * a second one is told at once which one and since when. Knows no HTTP and no step: what a job does is its caller's.
 */
import { AppError } from '../../../lib/errors/app-error.ts'
import type { StepId } from '../../steps/step.ts'
import { cancelled, UnderWay } from './cancelled.ts'
import { type EventLog, openEventLog } from './event-log.ts'
import { hasEnded, isWorking, type JobBegun, type JobDocument, type JobKind } from './job.ts'
import { draftOf, type JobDraft } from './job-document.ts'
import { asAppError, type Ending, endOf } from './job-ending.ts'
import { jobIds } from './job-id.ts'
import { type JobWatch, jobWatch } from './job-watch.ts'
import { type JournalFolder, keptJobs } from './journal.ts'

export interface JobOrder {
  readonly kind: JobKind
  readonly step: StepId | null
  /** "Next of KMS Deployment". */
  readonly title: string
  readonly actor: string
  readonly steps?: readonly StepId[]
  readonly resumes?: string | null
}

export interface StartedJob<T> {
  readonly id: string
  /** What the work comes to, once the job has ended: it rejects with what the work threw. */
  readonly result: Promise<T>
}

/** For who follows one. */
export interface FollowedJob {
  readonly document: () => JobDocument
  readonly events: EventLog
  /** Settles when it has ended, or nobody works at it any more. */
  readonly ended: Promise<void>
}

export interface Jobs {
  /** @throws UnderWay (conflict) when another one works */
  readonly start: <T>(
    order: JobOrder,
    work: (watch: JobWatch) => Promise<T>,
    ending: (result: T) => Ending
  ) => StartedJob<T>
  readonly find: (id: string) => Promise<FollowedJob | null>
  /** The newest first. */
  readonly list: () => Promise<readonly JobDocument[]>
  /** The one that changes something at this moment. */
  readonly running: () => JobDocument | null
  /** Asks it to stop at its next safe point. @throws AppError not-found, conflict when it has ended */
  readonly cancel: (id: string) => Promise<JobDocument>
  /** What is to be read in the journals is written. */
  readonly written: () => Promise<void>
}

interface Job {
  readonly begun: JobBegun
  readonly draft: JobDraft
  readonly events: EventLog
  /** Null: of an earlier process, or over. */
  controller: AbortController | null
  readonly cancelling: () => void
  readonly ended: Promise<void>
  readonly written: () => Promise<void>
}

const nothing = () => {}
const over = Promise.resolve()

export function openJobs(journals: JournalFolder): Jobs {
  const jobs = new Map<string, Job>()
  let recalled: Promise<void> | undefined

  const isLive = (id: string) => jobs.get(id)?.controller != null
  const all = () => [...jobs.values()].sort((one, other) => (one.begun.id < other.begun.id ? -1 : 1))
  const newest = () => all().findLast(({ begun }) => isWorking(begun))
  const document = (job: Job): JobDocument => job.draft.document(job.controller !== null, job === newest())
  const working = () => [...jobs.values()].find((job) => job.controller !== null && isWorking(job.begun))

  /** Those of earlier processes, when somebody asks for the first time. */
  const recall = () => {
    recalled ??= journals.read().then((kept) => {
      for (const { begun, events } of kept) {
        if (jobs.has(begun.id)) continue
        const draft = draftOf(begun)
        for (const event of events) draft.take(event)
        const log = openEventLog(events)
        jobs.set(begun.id, {
          begun,
          draft,
          events: log,
          controller: null,
          cancelling: nothing,
          ended: over,
          written: () => over
        })
      }
      forgetOld()
    })
    return recalled
  }
  const forgetOld = () => {
    const last = newest()
    const old = all().filter((job) => job.controller === null && job !== last)
    for (const { begun } of old.slice(0, Math.max(0, old.length - keptJobs))) jobs.delete(begun.id)
  }
  /** What is not forgotten for others' sake: what works, and what may be retried. */
  const keeps = async (): Promise<ReadonlySet<string>> => {
    await recall()
    return new Set(all().flatMap(({ begun }) => (isLive(begun.id) || begun === newest()?.begun ? begun.id : [])))
  }
  const newId = jobIds(journals.newest)

  const start: Jobs['start'] = (order, work, ending) => {
    const other = working()
    if (other !== undefined && isWorking(order)) throw new UnderWay(other.begun)
    const { kind, step, title, actor, steps = [], resumes = null } = order
    const startedAt = new Date().toISOString()
    const begun: JobBegun = { id: newId(), kind, step, title, actor, startedAt, steps, resumes }
    const controller = new AbortController()
    const draft = draftOf(begun)
    const events = openEventLog()
    const journal = journals.begin(begun, keeps)
    const ended = Promise.withResolvers<void>()
    const tell: Parameters<typeof jobWatch>[2] = (happening) => {
      if (job.controller === null) return
      const event = events.add(happening)
      draft.take(event)
      journal.write(event)
      if (event.type === 'end') job.controller = null
    }
    const job: Job = {
      ...{ begun, draft, events, controller, ended: ended.promise, written: journal.written },
      cancelling: () => tell({ type: 'cancelling' })
    }
    jobs.set(begun.id, job)
    forgetOld()
    const close = (how: Ending) => {
      tell({ type: 'end', ...endOf(how, begun.id) })
      ended.resolve()
    }
    // Not before the caller has its id.
    const result = Promise.resolve()
      .then(() => work(jobWatch(step, controller.signal, tell)))
      .then(
        (done) => {
          close(ending(done))
          return done
        },
        (thrown) => {
          close({ error: asAppError(thrown) })
          throw thrown
        }
      )
    result.catch(nothing) // Whoever only follows it does not fail.
    return { id: begun.id, result }
  }

  const find = async (id: string): Promise<Job | null> => {
    if (!jobs.has(id)) await recall()
    return jobs.get(id) ?? null
  }

  return {
    start,
    find: async (id) => {
      const job = await find(id)
      return job === null ? null : { document: () => document(job), events: job.events, ended: job.ended }
    },
    list: async () => {
      await recall()
      forgetOld()
      return all().toReversed().map(document)
    },
    running: () => {
      const job = working()
      return job === undefined ? null : document(job)
    },
    cancel: async (id) => {
      const job = await find(id)
      if (job === null) throw new AppError('not-found', 'There is no such job, or not any more.')
      const now = document(job)
      if (job.controller === null || hasEnded(now)) throw new AppError('conflict', 'This job has ended already.')
      if (now.state === 'running') {
        job.cancelling()
        job.controller.abort(cancelled())
      }
      return document(job)
    },
    written: async () => void (await Promise.all([...jobs.values()].map((job) => job.written())))
  }
}
