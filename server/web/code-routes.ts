/** The door of setup: the one-time code becomes a browser session (/setup/code) or a script's token (/setup/session). */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { Access } from './access.ts'
import { neverStore, refuseForeignOrigin, sessionCookie } from './guard.ts'
import { product } from './product.ts'
import type { CodePage } from './view-model.ts'

const codeBody = z.strictObject({ code: z.string().max(200), _csrf: z.string().optional() })
const attempts = { rateLimit: { max: 20, timeWindow: '1 minute' } }
const wrong = 'The setup code is not valid.'

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

  app.get('/setup/code', async (_request, reply) => reply.viewAsync('/code.eta', page()))

  app.post('/setup/code', { config: attempts }, async (request, reply) => {
    refuseForeignOrigin(request)
    const body = codeBody.safeParse(request.body)
    const code = body.success ? body.data.code.trim() : ''
    if (code === '') return reply.code(422).viewAsync('/code.eta', page('You must provide a value for Setup code.'))
    const session = await access.claim(code, 'browser')
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
    if (token === null) {
      throw new AppError('unauthenticated', wrong, {
        cure: `It works once, within a day. A new one: keyscaler code, then ${access.codeFile}.`
      })
    }
    return reply.code(201).send({ token })
  })
}
