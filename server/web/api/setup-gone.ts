/**
 * What is left of /setup when setup is locked: 410 and why, whatever is asked. One thing more: a script that lost the answer
 * to its last POST may have it again (idempotency.ts), and whoever asked for the job that locked setup may read how it ended;
 * nothing of setup runs for them.
 */
import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Install } from '../../install/install.ts'
import type { FollowedJob } from '../../install/jobs/jobs.ts'
import { neverStore } from '../guard.ts'
import { streamEvents } from '../jobs/event-stream.ts'
import { jobAnswer } from '../jobs/job-answer.ts'
import { holderOf, jobDesk } from '../jobs/job-desk.ts'
import { type JobParams, onceOf } from '../jobs/job-routes.ts'
import { prefersPage } from '../negotiation.ts'
import { answerFromSetup, keyHashOf } from './idempotency.ts'
import { answerWith } from './kept-answer.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Decides itself who is answered after setup. */
    readonly own?: true
  }
}

const methods: HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** For a client that follows the job whose last step locked setup; its session has ended with setup. */
const readableMs = 10 * 60_000

export async function setupGone(
  app: FastifyInstance,
  { install, tls }: { readonly install: Install; readonly tls: boolean }
): Promise<void> {
  app.addHook('onRequest', neverStore)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.own === true) return
    // Without a key nothing is read of what was sent.
    if (request.headers.authorization === undefined || keyHashOf(request) === null) throw gone(install)
  })
  /** @throws AppError locked for everybody but who asked for it, and after a while for them too */
  const ownJob = async (request: FastifyRequest<JobParams>): Promise<FollowedJob> => {
    const { id } = request.params
    const job = await install.jobs.find(id)
    const endedAt = job?.document().endedAt ?? null
    const late = endedAt !== null && Date.now() - Date.parse(endedAt) > readableMs
    if (job === null || late || !jobDesk(install).isHolder(id, holderOf(request, tls))) throw gone(install)
    return job
  }
  app.get<JobParams>('/setup/jobs/:id', { config: { own: true } }, async (request, reply) => {
    const job = await ownJob(request)
    if (prefersPage(request)) return reply.redirect('/', 303)
    return { ...jobAnswer(job.document()), ...onceOf({ install, tls }, request, reply) }
  })
  app.get<JobParams>('/setup/jobs/:id/events', { config: { own: true } }, async (request, reply) =>
    streamEvents(request, reply, await ownJob(request))
  )
  for (const url of ['/setup', '/setup/*']) {
    app.route({
      method: methods,
      url,
      handler: async (request, reply) => {
        const answer = await answerFromSetup(install, request)
        if (answer === null) throw gone(install)
        return answerWith(reply, answer)
      }
    })
  }
}

function gone(install: Install): AppError {
  if (install.finishedAt() === null) {
    return new AppError('locked', 'An answers file is being applied: setup over HTTP is closed meanwhile.', {
      cure: 'Wait until keyscaler apply has ended, then start keyscaler serve.'
    })
  }
  return new AppError('locked', 'Setup is finished, and its pages are gone.', {
    cure: 'To open it again, as root on the host: keyscaler unlock.'
  })
}
