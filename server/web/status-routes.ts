/**
 * After setup: one page that says so, and what runs. Nothing can be changed here; a rejected password has a page of its
 * own (password-routes.ts). Serials, key ids and fingerprints are shown to callers on this machine only; others get the
 * way to the Control Panel.
 */
import type { FastifyInstance } from 'fastify'
import type { Install } from '../install/install.ts'
import { neverStore, sessionCookie } from './guard.ts'
import { answerFormOf } from './negotiation.ts'
import { completeModel } from './panels.ts'
import { product } from './product.ts'
import type { FinishedPage } from './view-model.ts'
import { isLoopback } from './wizard-tls.ts'

export interface StatusRoutesOptions {
  readonly install: Install
  readonly tls: boolean
}

export async function statusRoutes(app: FastifyInstance, { install, tls }: StatusRoutesOptions): Promise<void> {
  app.addHook('onRequest', neverStore)
  const cookie = sessionCookie(tls)
  app.get('/', async (request, reply) => {
    // The browser that has finished setup: nothing of it stays there for "back" to show.
    if (request.cookies[cookie.name] !== undefined) {
      reply.clearCookie(cookie.name, cookie.options).header('clear-site-data', '"cache"')
    }
    const complete = await completeModel(install)
    const { controlPanel, verdict } = complete
    const sealed = complete.services.some(isSealed)
    const here = isLoopback(request.ip.replace(/^::ffff:/, ''))
    if (answerFormOf(request) === 'json') {
      return { finishedAt: install.finishedAt(), verdict, sealed, controlPanel, ...(here ? { complete } : {}) }
    }
    const page: FinishedPage = { product, sealed, controlPanel, ...(here ? { complete } : {}) }
    return reply.viewAsync('/finished.eta', page)
  })
}

/**
 * The way to the new password is shown from the first moment that a service says it is sealed: its process, ending, says so
 * before the supervisor has latched it.
 * @param state as InstallResult has it: "latched: sealed: PIN rejected"
 */
export function isSealed({ state }: { readonly state: string }): boolean {
  return state.startsWith('latched: ') || /^unhealthy: .*\bsealed: /.test(state)
}
