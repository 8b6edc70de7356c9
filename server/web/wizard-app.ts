/** Frame of both of the wizard's apps (setup open, setup locked): views, assets, headers, errors. */
import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerFactory } from 'fastify'
import { noJsonSchemas } from '../../lib/service/no-json-schemas.ts'
import { pageFrame } from '../../lib/service/page-frame.ts'
import { answerProblem, newRequestId, problemOf } from '../../lib/service/problems.ts'
import { UnderWay } from '../install/jobs/cancelled.ts'
import { problemPages } from './api/problem-pages.ts'
import { type ErrorsPage, errorRows } from './error-help.ts'
import { jobAddress } from './jobs/job-answer.ts'
import { readJsonBodies } from './json-body.ts'
import { keepAddresses, methodsAt } from './known-addresses.ts'
import { answerFormOf, tellWhatVaries } from './negotiation.ts'
import { product, root } from './product.ts'
import type { ErrorPage } from './view-model.ts'

export interface FrameOptions {
  /** Host names that may stand in a Host header, without port. */
  readonly allowedHosts: readonly string[]
  readonly tls: boolean
  readonly log: FastifyBaseLogger
  /** The wizard's one server hands requests to the app that is current (main.ts). */
  readonly serverFactory?: FastifyServerFactory
}

export async function wizardFrame(options: FrameOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: options.log,
    genReqId: newRequestId,
    bodyLimit: 256 * 1024,
    trustProxy: false,
    ...noJsonSchemas,
    frameworkErrors: answerProblem,
    ...(options.serverFactory === undefined ? {} : { serverFactory: options.serverFactory })
  })
  keepAddresses(app)
  readJsonBodies(app)
  // A text/plain body needs no preflight in a browser: never parsed.
  app.removeContentTypeParser('text/plain')
  // Before any route: only those that come after it are compressed.
  await app.register(compress, { encodings: ['gzip', 'identity'], threshold: 1024 })
  await pageFrame(app, {
    root,
    hosts: options.allowedHosts,
    elsewhere: 'Use an address that setup printed.',
    hsts: options.tls,
    scriptsAsk: true
  })
  tellWhatVaries(app)
  await app.register(cookie)
  await app.register(formbody, { bodyLimit: 256 * 1024 })
  await app.register(rateLimit, { global: false })
  answerErrorsInKind(app)
  helpRoutes(app)
  problemPages(app)
  app.get('/healthz', { logLevel: 'warn' }, async () => ({ alive: true }))
  return app
}

/** The same problem as a page for browsers and as problem+json for scripts. */
function answerErrorsInKind(app: FastifyInstance): void {
  const page = (problem: ReturnType<typeof problemOf>, requestId: string): ErrorPage => ({
    product,
    status: problem.status,
    title: problem.title,
    detail: problem.detail,
    requestId,
    ...(problem.cure === undefined ? {} : { cure: problem.cure }),
    back: { href: '/', text: 'Back to the start' }
  })
  /** Of one that is under way instead: its address, for who wants to follow it. */
  const under = (error: unknown) => (error instanceof UnderWay ? jobAddress(error.job) : null)
  app.setErrorHandler(async (error, request, reply) => {
    const job = under(error)
    if (job !== null) reply.header('link', `<${job}>; rel="related"`)
    const problem = problemOf(error, request.id)
    if (answerFormOf(request) !== 'html') {
      if (job === null) {
        answerProblem(error as Parameters<typeof answerProblem>[0], request, reply)
        // An async handler that returns nothing is sent as nothing, while a hook (idempotency.ts) still holds the answer.
        return reply
      }
      return reply
        .code(problem.status)
        .type('application/problem+json')
        .send({ ...problem, job })
    }
    if (problem.status >= 500) request.log.error({ err: error }, problem.title)
    const shown = page(problem, request.id)
    const back = job === null ? {} : { back: { href: job, text: 'Look at what is under way' } }
    return reply.code(problem.status).viewAsync('/error.eta', { ...shown, ...back })
  })
  app.setNotFoundHandler(async (request, reply) => {
    const instance = `urn:request:${request.id}`
    const methods = methodsAt(app, request.url)
    if (methods.length > 0) reply.header('allow', methods.join(', '))
    const problem = { type: 'about:blank', instance, ...(methods.length > 0 ? notSo(methods) : nothingThere) }
    reply.code(problem.status)
    if (answerFormOf(request) !== 'html') return reply.type('application/problem+json').send(problem)
    const { cure: _forScripts, ...forPeople } = problem
    return reply.viewAsync('/error.eta', page(forPeople, request.id))
  })
}

const nothingThere = {
  status: 404,
  title: 'Not found',
  detail: 'There is nothing at this address.',
  cure: 'GET /setup/openapi.json lists what there is while setup is open.'
}

/** RFC 9110 section 15.5.6. */
const notSo = (methods: readonly string[]) => ({
  status: 405,
  title: 'Method not allowed',
  detail: `This address takes ${methods.join(', ')}.`,
  cure: nothingThere.cure
})

function helpRoutes(app: FastifyInstance): void {
  for (const name of ['prerequisites', 'support', 'terms']) {
    app.get(`/help/${name}`, async (_request, reply) => reply.viewAsync(`/help/${name}.eta`, { product }))
  }
  const errors: ErrorsPage = { product, errors: errorRows }
  app.get('/help/errors', async (request, reply) =>
    answerFormOf(request) === 'json' ? { errors: errorRows } : reply.viewAsync('/help/errors.eta', errors)
  )
}
