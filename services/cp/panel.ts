/** What stands around every page: headers, Host names, cookies, forms, assets, views, and errors as pages. */
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { asDatabaseError } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { pageFrame } from '../../lib/service/page-frame.ts'
import { answerProblem, problemOf } from '../../lib/service/problems.ts'
import { answerFormOf, showPage } from './answer-form.ts'
import { product, root } from './product.ts'

export interface PanelOptions {
  /** https://host:port as administrators open it. */
  readonly address: string
  readonly listenHost: string
}

/** For a scope of its own: the service's health and API routes stay as they are. */
export async function panelFrame(panel: FastifyInstance, { address, listenHost }: PanelOptions): Promise<void> {
  await pageFrame(panel, {
    root,
    hosts: ['localhost', '127.0.0.1', '[::1]', new URL(address).hostname, listenHost],
    elsewhere: `Open ${address}`,
    // Holds for every port of the host, the wizard's plain HTTP on loopback among them; our cookies need HTTPS anyhow.
    hsts: false,
    scriptsAsk: false,
    context: { product, brand: 'KeyScaler Control Panel' }
  })
  panel.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  panel.decorateRequest('panelSession', null)
  await panel.register(cookie)
  await panel.register(formbody, { bodyLimit: 16 * 1024 })
  panel.setErrorHandler(answerError)
  panel.setNotFoundHandler(async (request, reply) =>
    answerError(new AppError('not-found', 'There is nothing at this address.'), request, reply)
  )
}

async function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const error = asDatabaseError(thrown)
  if (answerFormOf(request) === 'json') return answerProblem(error as FastifyError, request, reply)
  if (error instanceof AppError && error.code === 'unauthenticated') return reply.redirect('/login', 303)
  const problem = problemOf(error, request.id)
  if (problem.status >= 500) request.log.error({ err: error }, problem.title)
  if (problem.status === 503) reply.header('retry-after', '2')
  return showPage(request, reply.code(problem.status), '/cp/error.eta', { ...problem, requestId: request.id })
}
