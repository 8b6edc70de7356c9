/** Requests that another site made a browser send: refused by where they come from, and for want of the token. */
import { createHmac } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { sameText } from '../../lib/service/same-text.ts'

/**
 * A browser tells where a POST comes from. One that tells nothing is a script: those send JSON or a header of their own,
 * which a page of another site cannot make a browser send without asking us first (CORS), and we allow nobody.
 * @throws AppError forbidden
 */
export function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const sameOrigin = origin === undefined || origin === `https://${host}`
  const sameSite = site === undefined || site === 'same-origin'
  const told = origin !== undefined || site !== undefined
  if (sameOrigin && sameSite && (told || isScript(request))) return
  throw new AppError('forbidden', 'This request came from another site.', { cure: 'Open the Control Panel itself.' })
}

/** @param token what the form's `_csrf` or the header X-CSRF-Token must be. @throws AppError forbidden */
export function refuseWithoutToken(request: FastifyRequest, token: string): void {
  const { body } = request
  const header = request.headers['x-csrf-token']
  const field = typeof body === 'object' && body !== null && '_csrf' in body ? body._csrf : undefined
  const given = header ?? field
  if (typeof given === 'string' && sameText(given, token)) return
  throw new AppError('forbidden', 'This form is too old, or did not come from the Control Panel.', {
    cure: 'Go back, reload the page and send it again.'
  })
}

/** The token of a form that is shown before there is a session: bound to a cookie of its own (login CSRF). */
export function formTokenOf(cookie: string): string {
  return createHmac('sha256', cookie).update('login form').digest('base64url')
}

/** A form's fields without the token, for a strict schema. */
export function fieldsOf(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== '_csrf'))
}

function isScript(request: FastifyRequest): boolean {
  const type = request.headers['content-type'] ?? ''
  return type.startsWith('application/json') || request.headers['x-csrf-token'] !== undefined
}
