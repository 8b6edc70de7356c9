/** What stands around every page: headers, Host names, cookies, forms, assets, views, and errors as pages. */
import { join } from 'node:path'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import helmet from '@fastify/helmet'
import fastifyStatic from '@fastify/static'
import view from '@fastify/view'
import { Eta } from 'eta'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { asDatabaseError } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { answerProblem, problemOf } from '../../lib/service/problems.ts'
import { answerFormOf, showPage } from './answer-form.ts'
import { product, root } from './product.ts'

export interface PanelOptions {
  /** https://host:port as administrators open it. */
  readonly address: string
  readonly listenHost: string
}

/** For a scope of its own: the service's health and API routes stay as they are. */
export async function panelFrame(panel: FastifyInstance, options: PanelOptions): Promise<void> {
  refuseForeignHosts(panel, options)
  await panel.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        scriptSrc: ["'self'"],
        imgSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"]
      }
    },
    // Holds for every port of the host, the wizard's plain HTTP on loopback among them; our cookies need HTTPS anyhow.
    hsts: false,
    // Not "no-referrer": with it a browser sends a form with `Origin: null`.
    referrerPolicy: { policy: 'same-origin' }
  })
  panel.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  panel.decorateRequest('panelSession', null)
  await panel.register(cookie)
  await panel.register(formbody, { bodyLimit: 16 * 1024 })
  await panel.register(fastifyStatic, {
    root: join(root, 'public'),
    prefix: '/public/',
    immutable: true,
    maxAge: '1d',
    index: false
  })
  await panel.register(view, {
    engine: { eta: new Eta({ views: join(root, 'views'), cache: true, autoTrim: false }) },
    root: join(root, 'views'),
    production: true,
    defaultContext: { product, brand: 'KeyScaler Control Panel' }
  })
  panel.setErrorHandler(answerError)
  panel.setNotFoundHandler(async (request, reply) =>
    answerError(new AppError('not-found', 'There is nothing at this address.'), request, reply)
  )
}

/** 421 for a name that is not ours: a page of another name that points here gets nothing (DNS rebinding). */
function refuseForeignHosts(panel: FastifyInstance, { address, listenHost }: PanelOptions): void {
  const ours = new Set(['localhost', '127.0.0.1', '[::1]', new URL(address).hostname, listenHost.toLowerCase()])
  panel.addHook('onRequest', async (request, reply) => {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
    if (ours.has(name)) return
    return reply.code(421).type('text/plain').send(`This name is not served here. Open ${address}\n`)
  })
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
