/**
 * After setup, for the day after `role changepw`: /key-store-password takes the key store's new password. A fresh one-time
 * code (`keyscaler code`, on the host) opens this page and nothing else; setup stays closed (docs/decisions/0014).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { guardedName } from '../../lib/keystore/guarded-login.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import { mostFailures } from '../../lib/keystore/pin-rules.ts'
import { problemOf, problemTable } from '../../lib/service/problems.ts'
import type { Finding } from '../checks/check.ts'
import { keyStoreFromRecord, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { Install } from '../install/install.ts'
import { type AcceptedPassword, acceptPassword } from '../key-store-password/accept-password.ts'
import { type Access, csrfTokenOf } from './access.ts'
import { bearerOf, type Caller, neverStore, refuseForeignOrigin, refuseForgery, sessionCookie } from './guard.ts'
import { answerFormOf } from './negotiation.ts'
import { product } from './product.ts'
import type { PasswordPage } from './view-model.ts'

export interface PasswordRoutesOptions {
  readonly install: Install
  readonly access: Access
  readonly tls: boolean
}

const place = '/key-store-password'
const attempts = { rateLimit: { max: 20, timeWindow: '1 minute' } }
const codeBody = z.object({ code: z.string().max(200) })
const passwordBody = z.object({
  password: z.string().max(1000).default(''),
  sendAgain: z.union([z.boolean(), z.enum(['on', 'yes', ''])]).default(false),
  confirmLabel: z.string().max(200).default('')
})

interface Session extends Caller {
  readonly token: string
}

export async function passwordRoutes(app: FastifyInstance, options: PasswordRoutesOptions): Promise<void> {
  const { install, access, tls } = options
  const usual = sessionCookie(tls)
  const cookie = { ...usual, name: `${usual.name}-password` }
  app.addHook('onRequest', neverStore)

  const sessionOf = (request: FastifyRequest): Session | null => {
    const bearer = bearerOf(request)
    if (bearer !== undefined)
      return access.holds(bearer, 'password') ? { kind: 'script', csrf: '', token: bearer } : null
    const token = request.cookies[cookie.name]
    if (token === undefined || !access.holds(token, 'password')) return null
    return { kind: 'browser', csrf: csrfTokenOf(token), token }
  }
  const door = (reply: FastifyReply, error?: string) => {
    const page: PasswordPage = { product, codeFile: access.codeFile, ...(error === undefined ? {} : { error }) }
    return reply.viewAsync('/key-store-password.eta', page)
  }
  const form = async (reply: FastifyReply, session: Session, result: Partial<PasswordPage> = {}) => {
    const page: PasswordPage = { product, ...(await aboutKeyStore(install)), csrf: session.csrf, ...result }
    return reply.viewAsync('/key-store-password.eta', page)
  }

  app.get(place, async (request, reply) => {
    const session = sessionOf(request)
    if (answerFormOf(request) !== 'json') return session === null ? door(reply) : form(reply, session)
    if (session === null) throw codeNeeded()
    return aboutKeyStore(install)
  })

  app.post(`${place}/code`, { config: attempts }, async (request, reply) => {
    refuseForeignOrigin(request)
    const body = codeBody.safeParse(request.body)
    const token = body.success && body.data.code.trim() !== '' ? await access.claim(body.data.code, 'password') : null
    if (token === null && answerFormOf(request) === 'json') throw new AppError('unauthenticated', wrongCode)
    if (token === null) return door(reply.code(422), wrongCode)
    return reply.setCookie(cookie.name, token, cookie.options).redirect(place, 303)
  })

  app.post(`${place}/session`, { config: attempts }, async (request, reply) => {
    const body = codeBody.safeParse(request.body)
    if (!body.success) throw new AppError('invalid-input', 'Send {"code": "…"}.', { fields: { code: 'Missing.' } })
    const token = await access.claim(body.data.code, 'password')
    if (token === null) throw new AppError('unauthenticated', wrongCode)
    return reply.code(201).send({ token })
  })

  app.post(place, { config: attempts }, async (request, reply) => {
    const session = sessionOf(request)
    const json = answerFormOf(request) === 'json'
    if (session === null) {
      if (!json) return reply.redirect(place, 303)
      throw codeNeeded()
    }
    refuseForgery(request, session)
    const body = passwordBody.safeParse(request.body)
    if (!body.success || body.data.password === '') {
      const say = 'You must provide a value for New password.'
      if (json) throw new AppError('invalid-input', say, { fields: { password: say } })
      return form(reply.code(422), session, { error: say })
    }
    const { password, sendAgain, confirmLabel } = body.data
    const again = sendAgain !== false && sendAgain !== ''
    const outcome = await accept(install, password, { again, label: confirmLabel })
    const done = outcome.accepted && !(outcome.kms instanceof AppError)
    if (done) await access.end(session.token)
    if (json) return answerJson(request, reply, outcome)
    if (done) reply.clearCookie(cookie.name, cookie.options)
    const error = errorOf(outcome)
    const status = error === null ? 200 : problemTable[error.code].status
    return form(reply.code(status), session, {
      findings: outcome.findings,
      kept: outcome.accepted,
      ...(error === null ? { done: true } : { error: error.message, cure: error.cure ?? '' })
    })
  })
}

function codeNeeded(): AppError {
  return new AppError('unauthenticated', 'This needs a fresh one-time code first.', {
    cure: `keyscaler code on the host, then POST ${place}/session with it.`
  })
}

const wrongCode = 'The code is not valid. It works once, within a day; "keyscaler code" on the host makes another.'

async function accept(
  install: Install,
  pin: string,
  confirmed: { readonly again: boolean; readonly label: string }
): Promise<AcceptedPassword> {
  if (install.finishedAt() === null) {
    throw new AppError('conflict', 'Setup is still going on: the password is entered there.', {
      cure: 'Wait until it has ended, or use the KMS Deployment step.'
    })
  }
  const { stateDir, target } = install
  const startKms = (report: (phase: string) => void) => target.restart('kms', report)
  return acceptPassword({ stateDir, pin, confirmed, startKms }, () => {})
}

/** null: all is well. */
function errorOf(outcome: AcceptedPassword): AppError | null {
  if (!outcome.accepted) {
    const failed = outcome.findings.find(({ verdict }) => verdict === 'fail')
    const cure = failed?.cure
    return new AppError('check-failed', `${failed?.say ?? 'The password was not accepted.'} Nothing was changed.`, {
      ...(cure === undefined ? {} : { cure })
    })
  }
  if (!(outcome.kms instanceof AppError)) return null
  const { code, message, cure } = outcome.kms
  return new AppError(code, `The new password is right and is kept, but the KMS does not run: ${message}`, {
    ...(cure === undefined ? {} : { cure })
  })
}

function answerJson(request: FastifyRequest, reply: FastifyReply, outcome: AcceptedPassword) {
  const error = errorOf(outcome)
  const findings: readonly Finding[] = outcome.findings
  if (error === null) return { ok: true, findings, kms: outcome.accepted ? outcome.kms : null }
  const problem = problemOf(error, request.id)
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send({ ...problem, findings, accepted: outcome.accepted })
}

/** Shown to who holds the code, without a login. */
async function aboutKeyStore(install: Install): Promise<Partial<PasswordPage>> {
  const record = await readKeyStoreRecord(install.stateDir)
  if (record === null) return {}
  const { failures } = openPinGuard(install.stateDir).known(guardedName(keyStoreFromRecord(record), record.serial))
  const kms = (await install.target.status()).find(({ name }) => name === 'kms')
  const { label, serial, slot, profile } = record
  return {
    keyStore: { label, serial, slot, hsm: profile === 'gemalto-safenet' },
    failedLogins: { known: failures, atMost: mostFailures },
    ...(kms === undefined ? {} : { kms: { state: kms.state, detail: kms.detail } })
  }
}
