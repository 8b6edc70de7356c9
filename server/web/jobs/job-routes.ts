/** Jobs over HTTP: which there are, what one is doing, its events, Cancel and Retry. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { retryJob } from '../../install/jobs/begin.ts'
import type { FollowedJob } from '../../install/jobs/jobs.ts'
import { prefersPage } from '../negotiation.ts'
import { answerBegun, untilEnded } from './begun-job.ts'
import { streamEvents } from './event-stream.ts'
import { jobAddress, jobAnswer } from './job-answer.ts'
import { holderOf, jobDesk, type ShownOnce } from './job-desk.ts'
import { showJob } from './job-page.ts'
import { appliedWait, preferredWait } from './prefer.ts'
import type { SetupGround } from './setup-ground.ts'
import { actorOf } from './step-posts.ts'

export interface JobParams {
  readonly Params: { readonly id: string }
}

export function jobRoutes(app: FastifyInstance, ground: SetupGround): void {
  const { install, tls, callerIn } = ground
  const { jobs } = install

  app.get('/setup/jobs', async (request, reply) => {
    if (prefersPage(request)) {
      const running = jobs.running()
      return reply.redirect(running === null ? '/setup' : jobAddress(running.id), 303)
    }
    return { jobs: (await jobs.list()).map(jobAnswer) }
  })

  app.get<JobParams>('/setup/jobs/:id', async (request, reply) => {
    const job = await findJob(install, request.params.id)
    if (prefersPage(request)) return showJob(ground, request, reply, job.document())
    const preferred = preferredWait(request)
    appliedWait(reply, preferred)
    await untilEnded(job, preferred ?? 0)
    const mayTake = callerIn(request).kind === 'script' && callerIn(request).scope !== 'read'
    return { ...jobAnswer(job.document()), ...(mayTake ? onceOf(ground, request, reply) : {}) }
  })

  app.get<JobParams>('/setup/jobs/:id/events', async (request, reply) =>
    streamEvents(request, reply, await findJob(install, request.params.id))
  )

  app.post<JobParams>('/setup/jobs/:id/cancel', async (request, reply) => {
    const job = await jobs.cancel(request.params.id)
    if (prefersPage(request)) return reply.redirect(jobAddress(job.id), 303)
    return reply.code(202).header('location', jobAddress(job.id)).send(jobAnswer(job))
  })

  app.post<JobParams>('/setup/jobs/:id/retry', async (request, reply) => {
    const once: ShownOnce[number][] = []
    const job = await retryJob(install, request.params.id, {
      actor: actorOf(request),
      showOnce: async (_step, values) => void once.push(...values),
      finished: ground.finished
    })
    const holder = holderOf(request, tls)
    jobDesk(install).remember(job.id, { holder, typed: null, continueAnyway: false, once })
    const retried = await findJob(install, job.id)
    return answerBegun(install, request, reply, job, {
      json: () => ({ ...jobAnswer(retried.document()), ...(once.length === 0 ? {} : { showOnce: once.splice(0) }) }),
      page: (ended) => showJob(ground, request, reply, ended, true)
    })
  })
}

async function findJob(install: SetupGround['install'], id: string): Promise<FollowedJob> {
  const job = await install.jobs.find(id)
  if (job === null) throw new AppError('not-found', 'There is no such job, or not any more.')
  return job
}

/** A script that did not wait takes what is shown once with the job; a browser is shown it on the page that follows. */
export function onceOf(
  { install, tls }: Pick<SetupGround, 'install' | 'tls'>,
  request: FastifyRequest<JobParams>,
  reply: FastifyReply
): { readonly showOnce?: ShownOnce } {
  const { id } = request.params
  const desk = jobDesk(install)
  const remembered = desk.find(id)
  if (request.method === 'HEAD' || remembered === undefined || !desk.isHolder(id, holderOf(request, tls))) return {}
  const taken = remembered.once.splice(0)
  if (taken.length === 0) return {}
  // Who was gone before all of it went out gets it when it asks again.
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) remembered.once.unshift(...taken)
  })
  return { showOnce: taken }
}
