/** /healthz never touches a dependency; /readyz asks them all; /metrics is Prometheus text. */
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { messageOf } from '../errors/app-error.ts'
import type { Readiness, RunningService } from './service.ts'

const readyWithinMs = 4000

export function registerHealth(app: FastifyInstance, metrics: Registry, running: () => RunningService | undefined) {
  app.get('/healthz', { logLevel: 'warn' }, async () => ({ alive: true }))

  app.get('/readyz', { logLevel: 'warn' }, async (_request, reply) => {
    const readiness = await readinessOf(running())
    if (!readiness.ready) reply.code(503).header('retry-after', '2')
    return readiness
  })

  app.get('/metrics', { logLevel: 'warn' }, async (_request, reply) => {
    reply.type(metrics.contentType)
    return metrics.metrics()
  })
}

async function readinessOf(service: RunningService | undefined): Promise<Readiness> {
  if (service === undefined) return { ready: false, parts: { start: { ok: false, detail: 'starting' } } }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => resolve(notReady(`no answer within ${readyWithinMs} ms`)), readyWithinMs)
  })
  const answer = service.ready().catch((thrown: unknown) => notReady(messageOf(thrown)))
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

function notReady(detail: string): Readiness {
  return { ready: false, parts: { service: { ok: false, detail } } }
}
