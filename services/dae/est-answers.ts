/** How EST answers: certificates as base64 of a certs-only PKCS#7, errors as a status and a line for people. */
import type { X509Certificate } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { asDatabaseError } from '../../lib/database/pool.ts'
import { problemOf } from '../../lib/service/problems.ts'
import { certsOnly } from '../../lib/x509/certs-only.ts'

const realm = 'Basic realm="KeyScaler EST", charset="UTF-8"'

/** One line and its end (RFC 8951 3.1): strongSwan 5.9.8 cannot read more lines, openssl none without an end. */
export function certificatesAnswer(
  reply: FastifyReply,
  type: string,
  certificates: readonly X509Certificate[]
): FastifyReply {
  return reply.type(type).send(`${certsOnly(certificates).toString('base64')}\n`)
}

/**
 * RFC 7030 4.2.3: an error is a status and, for people, text. Malformed requests are 400 here, and everything that may pass
 * is 503 with Retry-After. What is wrong on our side stays in the log: devices are strangers.
 */
export function answerPlainly(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const known = asDatabaseError(thrown)
  const { status, detail } = problemOf(known, request.id)
  reply.type('text/plain; charset=utf-8')
  if (status >= 500) {
    request.log.error({ err: known }, 'an EST request failed')
    if (status !== 500) reply.header('retry-after', '5')
    reply.code(status === 500 ? 500 : 503).send(`Try again later. Quote ${request.id} when you ask for help.\n`)
    return
  }
  if (status === 401) reply.header('www-authenticate', realm)
  if (status === 409) reply.header('retry-after', '1')
  const text = status === 415 ? 'Send application/pkcs10.' : detail
  reply.code(status === 422 ? 400 : status).send(`${text}\n`)
}
