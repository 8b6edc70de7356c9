/**
 * What stands before the routes of setup: who holds a session, and whether a page of ours sent a POST (Origin or Sec-Fetch-Site,
 * and the session's CSRF token). Guards are hooks on routed requests, never comparisons of raw URLs.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { sameText } from '../../lib/service/same-text.ts'
import { type Access, csrfTokenOf } from './access.ts'

export interface Caller {
  readonly kind: 'browser' | 'script'
  /** For forms; empty for scripts. */
  readonly csrf: string
  /** A token that may only read; absent: everything. */
  readonly scope?: 'read'
}

/** With TLS the `__Host-` prefix binds the cookie to this host; browsers differ on it over loopback http. */
export function sessionCookie(tls: boolean) {
  return {
    name: tls ? '__Host-keyscaler-setup' : 'keyscaler-setup',
    options: { httpOnly: true, sameSite: 'strict', secure: tls, path: '/' } as const
  }
}

/** RFC 9110 section 11.1: the name of a scheme is written in any case. */
export function bearerOf({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/** Who this is, or null. A bearer token replaces cookie and CSRF. */
export function callerOf(request: FastifyRequest, access: Access, tls: boolean): Caller | null {
  const bearer = bearerOf(request)
  if (bearer !== undefined) {
    const scope = access.holds(bearer, 'script') ? 'setup' : access.scopeOf(bearer)
    if (scope === null) return null
    return { kind: 'script', csrf: '', ...(scope === 'read' ? { scope } : {}) }
  }
  const cookie = request.cookies[sessionCookie(tls).name]
  if (cookie === undefined || !access.holds(cookie, 'browser')) return null
  return { kind: 'browser', csrf: csrfTokenOf(cookie) }
}

/** For all but GET and HEAD (RFC 6750 section 3.1, insufficient_scope). @throws AppError forbidden */
export function refuseReadOnly(request: FastifyRequest, reply: FastifyReply, caller: Caller): void {
  if (caller.scope !== 'read' || request.method === 'GET' || request.method === 'HEAD') return
  reply.header('www-authenticate', 'Bearer realm="setup", error="insufficient_scope", scope="setup"')
  throw new AppError('forbidden', 'This token may only read.', { cure: 'keyscaler token create --scope setup' })
}

/** For POSTs of a browser session: sent by a page of ours, with its token. @throws AppError forbidden */
export function refuseForgery(request: FastifyRequest, caller: Caller): void {
  if (caller.kind === 'script') return
  refuseForeignOrigin(request)
  const body: unknown = request.body
  const token = typeof body === 'object' && body !== null && '_csrf' in body ? body._csrf : undefined
  const header = request.headers['x-csrf-token']
  const given = typeof header === 'string' ? header : token
  if (typeof given === 'string' && sameText(given, caller.csrf)) return
  throw new AppError('forbidden', 'This form is too old, or did not come from setup.', {
    cure: 'Go back, reload the page and send it again. What you typed is still in the form.'
  })
}

/** A browser tells where a POST comes from; one that does not say is not answered. */
export function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const ours = origin === undefined ? site === 'same-origin' : origin === `${request.protocol}://${host}`
  if (!ours) throw new AppError('forbidden', 'This request came from another site.', { cure: 'Open setup itself.' })
}

/** Pages of setup may be kept nowhere. */
export function neverStore(_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.header('cache-control', 'no-store')
  done()
}
