/**
 * EST (RFC 7030, as RFC 8951 mends it): /cacerts for anybody, /simpleenroll with a registration's name and one-time
 * secret by HTTP Basic. Bodies are base64 with or without line breaks; errors are plain text.
 */
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { problemOf } from '../../lib/service/problems.ts'
import { certsOnly } from '../../lib/x509/certs-only.ts'
import type { Attempts } from './attempts.ts'
import type { Authority } from './authority.ts'
import type { Enrolment } from './enrolment.ts'

export interface EstParts {
  /** Optional path label; empty: none. */
  readonly label: string
  readonly authority: Authority
  readonly enrolment: Enrolment
  readonly attempts: Attempts
}

const realm = 'Basic realm="KeyScaler EST", charset="UTF-8"'

export function registerEst(app: FastifyInstance, { label, authority, enrolment, attempts }: EstParts): void {
  app.register(
    async (est) => {
      est.addContentTypeParser(
        'application/pkcs10',
        { parseAs: 'string', bodyLimit: 64 * 1024 },
        (_request, body, done) => done(null, body)
      )
      est.setErrorHandler((thrown, request, reply) => answerPlainly(thrown, request, reply))

      for (const base of label === '' ? [''] : ['', `/${label}`]) {
        est.get(`/.well-known/est${base}/cacerts`, async (_request, reply) => {
          const { certificate } = await authority.ca()
          return reply.type('application/pkcs7-mime').send(asBase64(certsOnly([certificate])))
        })

        est.post(`/.well-known/est${base}/simpleenroll`, async (request, reply) => {
          if (!(await attempts.allowed(request.ip))) {
            return reply
              .code(429)
              .header('retry-after', '60')
              .type('text/plain')
              .send('Too many failures; wait a minute.\n')
          }
          const { name, secret } = basicCredentials(request)
          const registration = await enrolment.authenticate(name, secret).catch(async (thrown) => {
            await attempts.failed(request.ip)
            throw thrown
          })
          if (typeof request.body !== 'string') throw new AppError('invalid-input', 'Send application/pkcs10.')
          const certificate = await enrolment.enrol(registration, request.body, tlsUniqueOf(request))
          return reply.type('application/pkcs7-mime; smime-type=certs-only').send(asBase64(certsOnly([certificate])))
        })
      }
    },
    { prefix: '' }
  )
}

function basicCredentials(request: FastifyRequest): { name: string; secret: string } {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '')?.[1]
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (encoded === undefined || colon < 1) {
    throw new AppError('unauthenticated', 'Send the device name and its one-time secret by HTTP Basic.')
  }
  return { name: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** tls-unique of RFC 5929 3: the client's Finished message. TLS 1.3 has no such binding: null. */
function tlsUniqueOf(request: FastifyRequest): string | null {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket) || socket.getProtocol() === 'TLSv1.3') return null
  return socket.getPeerFinished()?.toString('base64') ?? null
}

/** Lines of 76, as clients of all ages read them (RFC 8951 3.1 lets them be there). */
function asBase64(der: Buffer): string {
  return `${(der.toString('base64').match(/.{1,76}/g) ?? []).join('\n')}\n`
}

/** RFC 7030 4.2.3: an error is a status and, for people, text. Malformed requests are 400 here. */
function answerPlainly(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { status, detail } = problemOf(thrown, request.id)
  if (status >= 500) request.log.error({ err: thrown }, 'enrolment failed')
  if (status === 401) reply.header('www-authenticate', realm)
  if (status === 503) reply.header('retry-after', '5')
  reply
    .code(status === 422 ? 400 : status)
    .type('text/plain; charset=utf-8')
    .send(`${detail}\n`)
}
