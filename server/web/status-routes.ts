/** After setup: one page that says so, and what runs. Nothing can be changed here. */
import type { FastifyInstance } from 'fastify'
import type { Install } from '../install/install.ts'
import { neverStore } from './guard.ts'
import { answerFormOf } from './negotiation.ts'
import { completeModel } from './panels.ts'
import { product } from './product.ts'
import type { FinishedPage } from './view-model.ts'

export interface StatusRoutesOptions {
  readonly install: Install
}

export async function statusRoutes(app: FastifyInstance, { install }: StatusRoutesOptions): Promise<void> {
  app.addHook('onRequest', neverStore)
  app.get('/', async (request, reply) => {
    const complete = await completeModel(install)
    if (answerFormOf(request) === 'json') {
      return { finishedAt: install.finishedAt(), services: await install.target.status(), complete }
    }
    const page: FinishedPage = { product, controlPanel: complete.controlPanel, complete }
    return reply.viewAsync('/finished.eta', page)
  })
}
