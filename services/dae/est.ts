/**
 * EST (RFC 7030, as RFC 8951 mends it): /cacerts for anybody, /simpleenroll with a registration's name and one-time
 * secret by HTTP Basic, /simplereenroll with the certificate that a device has in TLS. Bodies are base64 with or without line breaks; errors are plain text (est-answers.ts).
 */
import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { within } from '../../lib/process/within.ts'
import type { Attempts } from './attempts.ts'
import type { Authority } from './authority.ts'
import type { Enrolment } from './enrolment.ts'
import { answerPlainly, certificatesAnswer } from './est-answers.ts'
import type { Reenrolment } from './reenrolment.ts'

export interface EstParts {
  /** Optional path label; empty: none. */
  readonly label: string
  readonly authority: Authority
  readonly enrolment: Enrolment
  readonly reenrolment: Reenrolment
  readonly attempts: Attempts
}

const bodyLimit = 64 * 1024
/** Also for a database that accepts and stays silent: what is still being done then goes on, and asking again finds it. */
const deadlineMs = 5000

export function registerEst(
  app: FastifyInstance,
  { label, authority, enrolment, reenrolment, attempts }: EstParts
): void {
  app.register(async (est) => {
    est.removeAllContentTypeParsers()
    est.addContentTypeParser('application/pkcs10', { parseAs: 'string', bodyLimit }, (_request, body, done) =>
      done(null, body)
    )
    est.setErrorHandler(answerPlainly)

    const enrol = async (request: FastifyRequest) => {
      const { name, secret } = basicCredentials(request)
      const registration = await enrolment.authenticate(name, secret)
      return enrolment.enrol(registration, bodyOf(request), tlsUniqueOf(request))
    }
    const exchange = async (request: FastifyRequest) => {
      const device = await reenrolment.authenticate(shownBy(request))
      return reenrolment.exchange(device, bodyOf(request), tlsUniqueOf(request))
    }
    const issued = 'application/pkcs7-mime; smime-type=certs-only'

    for (const base of label === '' ? [''] : ['', `/${label}`]) {
      est.get(`/.well-known/est${base}/cacerts`, async (_request, reply) => {
        const certificates = await within(deadlineMs, 'CA certificate', authority.certificates)
        return certificatesAnswer(reply, 'application/pkcs7-mime', certificates)
      })

      est.post(`/.well-known/est${base}/simpleenroll`, async (request, reply) => {
        try {
          const certificate = await within(deadlineMs, 'enrolment', () => enrol(request))
          return certificatesAnswer(reply, issued, [certificate])
        } catch (thrown) {
          const refused = thrown instanceof AppError && thrown.code === 'unauthenticated'
          if (!refused || request.headers.authorization === undefined) throw thrown
          if (!(await attempts.failed(request.ip))) throw thrown
          return reply
            .code(429)
            .header('retry-after', '60')
            .type('text/plain')
            .send('Too many failures; wait a minute.\n')
        }
      })

      est.post(`/.well-known/est${base}/simplereenroll`, async (request, reply) => {
        const certificate = await within(deadlineMs, 'exchange of a certificate', () => exchange(request))
        return certificatesAnswer(reply, issued, [certificate])
      })
    }
  })
}

function bodyOf({ body }: FastifyRequest): string {
  if (typeof body !== 'string') throw new AppError('invalid-input', 'Send application/pkcs10.')
  return body
}

/**
 * The handshake has proved its key; whether it is one of ours is the record's to say, so it need not chain to what this
 * listener trusts (that is the internal CA, for the roles of services).
 */
function shownBy({ raw: { socket } }: FastifyRequest): X509Certificate | null {
  return socket instanceof TLSSocket ? (socket.getPeerX509Certificate() ?? null) : null
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

/**
 * tls-unique of RFC 5929 3: the first Finished message, which is the client's, or the server's when a session was resumed.
 * TLS 1.3 has no such binding: null.
 */
function tlsUniqueOf(request: FastifyRequest): string | null {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket) || socket.getProtocol() === 'TLSv1.3') return null
  const first = socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished()
  return first?.toString('base64') ?? null
}
