/**
 * Answers a POST that began a job. Without a preference a script gets 202 at once, and a form, which has nobody to follow
 * it, waits a moment first; what has ended by then is answered as if there were no jobs.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { problemOf, problemTable } from '../../../lib/service/problems.ts'
import type { Install } from '../../install/install.ts'
import { hasEnded, type JobDocument } from '../../install/jobs/job.ts'
import type { FollowedJob, StartedJob } from '../../install/jobs/jobs.ts'
import { answerFormOf } from '../negotiation.ts'
import { jobAddress, jobAnswer } from './job-answer.ts'
import { appliedWait, preferredWait } from './prefer.ts'

/** Most steps are done by then, or their checks are. */
const formWaitMs = 1500

export interface EndAnswers<T> {
  /** What the work came to. */
  readonly json: (result: T) => unknown
  /** The page of a job that has ended. */
  readonly page: (job: JobDocument) => unknown
}

export async function answerBegun<T>(
  install: Install,
  request: FastifyRequest,
  reply: FastifyReply,
  { id, result }: StartedJob<T>,
  answers: EndAnswers<T>
): Promise<unknown> {
  const job = await install.jobs.find(id)
  if (job === null) throw new Error(`the job ${id} is not there`)
  result.catch((err) => {
    if (problemOf(err, request.id).status >= 500) request.log.error({ err, job: id }, 'a job has failed')
  })
  // Who waits for it reads it; the log is for who does not.
  void job.ended.then(() => {
    const { state, problem } = job.document()
    if (state !== 'failed' || problem === null || problem.status < 500) return
    request.log.warn({ job: id, problem: problem.type }, problem.detail)
  })
  const isForm = answerFormOf(request) === 'html'
  const preferred = preferredWait(request)
  appliedWait(reply, preferred)
  const waitMs = preferred ?? (isForm ? formWaitMs : 0)
  await untilEnded(job, waitMs)
  const now = job.document()
  if (hasEnded(now) && waitMs > 0) return isForm ? answers.page(now) : answers.json(await result)
  if (isForm && preferred === null) return reply.redirect(jobAddress(id), 303)
  return reply.code(202).header('location', jobAddress(id)).send(jobAnswer(now))
}

/** Whichever comes first. */
export async function untilEnded(job: FollowedJob, waitMs: number): Promise<void> {
  if (waitMs === 0) return
  const over = new AbortController()
  await Promise.race([job.ended, delay(waitMs, undefined, { signal: over.signal, ref: false }).catch(() => {})])
  over.abort()
}

/** The status of a form's answer: as the problem has it. */
export function statusOf({ state, problem }: JobDocument): number {
  if (state === 'done') return 200
  return problem?.status ?? problemTable.conflict.status
}
