/** Who may pass into the pages: a session's cookie, and for everything that changes something the session's CSRF token. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { refuseForeignOrigin, refuseWithoutToken } from './forgery.ts'
import type { Session, Sessions } from './sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside of the guarded pages. */
    panelSession: Session | null
  }
}

/** Bound to this host, and to HTTPS, by its prefix. Cookies are shared by all ports of a host: hence the service's name. */
export const sessionCookie = {
  name: '__Host-keyscaler-cp',
  options: { path: '/', secure: true, httpOnly: true, sameSite: 'strict' }
} as const

/** Guards every route of this scope; also for methods that do not exist yet. */
export function askForSession(inside: FastifyInstance, sessions: Sessions): void {
  inside.addHook('onRequest', async (request) => {
    request.panelSession = await sessions.find(request.cookies[sessionCookie.name])
    if (request.panelSession === null) throw new AppError('unauthenticated', 'Log in first.')
  })
  inside.addHook('preHandler', async (request) => {
    if (request.method === 'GET' || request.method === 'HEAD') return
    refuseForeignOrigin(request)
    refuseWithoutToken(request, sessionOf(request).csrf)
  })
}

/** The session of a guarded route. */
export function sessionOf(request: FastifyRequest): Session {
  if (request.panelSession === null) throw new AppError('unauthenticated', 'Log in first.')
  return request.panelSession
}
