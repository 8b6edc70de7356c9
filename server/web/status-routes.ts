/**
 * After setup: one page that says so, and what runs. Nothing can be changed here. Serials, key ids and fingerprints are
 * shown to callers on this machine only; others get the way to the Control Panel.
 */
import type { FastifyInstance } from 'fastify'
import type { Install } from '../install/install.ts'
import { neverStore } from './guard.ts'
import { answerFormOf } from './negotiation.ts'
import { completeModel } from './panels.ts'
import { product } from './product.ts'
import type { FinishedPage } from './view-model.ts'
import { isLoopback } from './wizard-tls.ts'

export interface StatusRoutesOptions {
  readonly install: Install
}

export async function statusRoutes(app: FastifyInstance, { install }: StatusRoutesOptions): Promise<void> {
  app.addHook('onRequest', neverStore)
  app.get('/', async (request, reply) => {
    const complete = await completeModel(install)
    const { controlPanel, verdict } = complete
    const here = isLoopback(request.ip.replace(/^::ffff:/, ''))
    if (answerFormOf(request) === 'json') {
      return { finishedAt: install.finishedAt(), verdict, controlPanel, ...(here ? { complete } : {}) }
    }
    const page: FinishedPage = { product, controlPanel, ...(here ? { complete } : {}) }
    return reply.viewAsync('/finished.eta', page)
  })
}
