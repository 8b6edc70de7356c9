/** The door of setup: the one-time code becomes a browser session (/setup/code) or a script's token (/setup/session). */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { Access } from './access.ts'
import { neverStore, refuseForeignOrigin, sessionCookie } from './guard.ts'
import { answerFormOf } from './negotiation.ts'
import { product } from './product.ts'
import type { CodePage } from './view-model.ts'

const codeBody = z.strictObject({ code: z.string().max(200), _csrf: z.string().optional() })
const attempts = { rateLimit: { max: 20, timeWindow: '1 minute' } }
const wrong = 'The setup code is not valid.'
const missing = 'You must provide a value for Setup code.'

function wrongCode({ codeFile }: Access): AppError {
  return new AppError('unauthenticated', wrong, {
    cure: `It works once, within a day. A new one: keyscaler code, then ${codeFile}.`
  })
}

function codeNeeded(): AppError {
  return new AppError('unauthenticated', 'Setup needs its code first.', {
    cure: 'POST /setup/session with the one-time code, or keyscaler token create on the host.'
  })
}

export async function codeRoutes(
  app: FastifyInstance,
  { access, tls }: { access: Access; tls: boolean }
): Promise<void> {
  const page = (error?: string): CodePage => ({
    product,
    csrf: '',
    codeFile: access.codeFile,
    ...(error === undefined ? {} : { error })
  })
  app.addHook('onRequest', neverStore)

  app.get('/setup/code', async (request, reply) => {
    // Browsers come without a word of what they like, too: only who asks for JSON gets it.
    if (answerFormOf(request) === 'json') throw codeNeeded()
    return reply.viewAsync('/code.eta', page())
  })

  app.post('/setup/code', { config: attempts }, async (request, reply) => {
    refuseForeignOrigin(request)
    const body = codeBody.safeParse(request.body)
    const code = body.success ? body.data.code.trim() : ''
    const json = answerFormOf(request) === 'json'
    if (code === '' && json) throw new AppError('invalid-input', missing, { fields: { code: missing } })
    if (code === '') return reply.code(422).viewAsync('/code.eta', page(missing))
    const session = await access.claim(code, 'browser')
    if (session === null && json) throw wrongCode(access)
    if (session === null)
      return reply
        .code(422)
        .viewAsync('/code.eta', page(`${wrong} It works once, within a day; "keyscaler code" makes another.`))
    const cookie = sessionCookie(tls)
    return reply.setCookie(cookie.name, session, cookie.options).redirect('/setup', 303)
  })

  app.post('/setup/session', { config: attempts }, async (request, reply) => {
    const body = codeBody.safeParse(request.body)
    if (!body.success) throw new AppError('invalid-input', 'Send {"code": "…"}.', { fields: { code: 'Missing.' } })
    const token = await access.claim(body.data.code, 'script')
    if (token === null) throw wrongCode(access)
    return reply.code(201).send({ token })
  })
}
