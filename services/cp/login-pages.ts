/** /login and /logout: a form for people, JSON for scripts. */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { answerFormOf, showPage } from './answer-form.ts'
import { fieldsOf, formTokenOf, refuseForeignOrigin, refuseWithoutToken } from './forgery.ts'
import type { Login } from './login.ts'
import { sessionCookie } from './session-guard.ts'
import type { Sessions } from './sessions.ts'

const typed = (label: string, longest: number) =>
  z
    .string(`${label} must be given once, as text.`)
    .min(1, `You must provide a value for ${label}.`)
    .max(longest, `${label} must have at most ${longest} characters.`)
const credentials = z.strictObject({ email: typed('E-mail', 254), password: typed('Password', 1024) })

const formCookie = { ...sessionCookie, name: '__Host-keyscaler-cp-form' }
const wrong = 'E-mail or password is not right.'

interface LoginPagesParts {
  readonly login: Login
  readonly sessions: Sessions
  readonly sessionDays: number
}

export function registerLoginPages(app: FastifyInstance, { login, sessions, sessionDays }: LoginPagesParts): void {
  app.get('/login', async (request, reply) => {
    if ((await sessions.find(request.cookies[sessionCookie.name])) !== null) return reply.redirect('/', 303)
    return loginPage(request, reply, {})
  })

  app.post('/login', async (request, reply) => {
    refuseForeignOrigin(request)
    const isForm = !(request.headers['content-type'] ?? '').startsWith('application/json')
    if (isForm) refuseWithoutToken(request, formTokenOf(request.cookies[formCookie.name] ?? randomBytes(32).toString()))
    const asked = credentials.safeParse(isForm ? fieldsOf(request.body) : request.body)
    if (!asked.success) {
      const fields = Object.fromEntries(asked.error.issues.map(({ path, message }) => [path.join('.') || '_', message]))
      return refuse(request, reply, new AppError('invalid-input', Object.values(fields).join(' '), { fields }))
    }
    const { name, options } = sessionCookie
    const result = await login.enter(asked.data, request.ip, request.cookies[name])
    if (result.outcome === 'wrong') return refuse(request, reply, new AppError('unauthenticated', wrong))
    if (result.outcome === 'limited') return refuseForNow(request, reply, result.until)
    reply
      .setCookie(name, result.token, { ...options, maxAge: sessionDays * 86_400 })
      .clearCookie(formCookie.name, formCookie.options)
    return answerFormOf(request) === 'json' ? { csrf: result.csrf } : reply.redirect('/', 303)
  })

  app.post('/logout', async (request, reply) => {
    refuseForeignOrigin(request)
    const token = request.cookies[sessionCookie.name]
    const session = await sessions.find(token)
    if (session !== null) {
      refuseWithoutToken(request, session.csrf)
      await sessions.end(token)
    }
    reply.clearCookie(sessionCookie.name, sessionCookie.options)
    return answerFormOf(request) === 'json' ? reply.code(204).send() : reply.redirect('/login', 303)
  })
}

/** The form again, with the reason; scripts get the error itself. */
function refuse(request: FastifyRequest, reply: FastifyReply, error: AppError): unknown {
  if (answerFormOf(request) === 'json') throw error
  const { _: general, ...fields } = error.fields ?? { email: error.message }
  return loginPage(request, reply.code(error.code === 'unauthenticated' ? 401 : 422), { fields, general })
}

function refuseForNow(request: FastifyRequest, reply: FastifyReply, until: Date): unknown {
  const seconds = Math.max(1, Math.ceil((until.getTime() - Date.now()) / 1000))
  const minutes = Math.ceil(seconds / 60)
  const detail = `Too many failed logins. Try again in ${minutes === 1 ? 'a minute' : `${minutes} minutes`}.`
  reply.code(429).header('retry-after', seconds)
  if (answerFormOf(request) === 'html') return loginPage(request, reply, { general: detail })
  return reply.type('application/problem+json').send({
    type: 'about:blank',
    status: 429,
    title: 'Too many failed logins',
    detail,
    instance: `urn:request:${request.id}`
  })
}

interface Refused {
  readonly fields?: Readonly<Record<string, string>>
  /** A message that belongs to no field. */
  readonly general?: string | undefined
}

function loginPage(request: FastifyRequest, reply: FastifyReply, { fields = {}, general }: Refused): unknown {
  const cookie = request.cookies[formCookie.name] ?? randomBytes(32).toString('base64url')
  reply.setCookie(formCookie.name, cookie, formCookie.options)
  const { body } = request
  const email = typeof body === 'object' && body !== null && 'email' in body ? body.email : ''
  return showPage(request, reply, '/cp/login.eta', {
    formToken: formTokenOf(cookie),
    email: typeof email === 'string' ? email.slice(0, 254) : '',
    fields,
    errors: [
      ...(general === undefined ? [] : [{ text: general }]),
      ...Object.entries(fields).map(([field, text]) => ({ field, text }))
    ]
  })
}
