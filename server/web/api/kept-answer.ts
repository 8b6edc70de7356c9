/** An answer as it can be given again, and what is left out of it before it is kept. */
import type { FastifyReply } from 'fastify'
import type { KeptAnswer } from '../../install/answer-memory.ts'

/** In place of a secret that was shown once. */
const shownOnce = '(shown once, in the first answer)'

/** @returns null for a page (it holds a session's own token), and for what is no text */
export function answerOf(reply: FastifyReply, payload: unknown): KeptAnswer | null {
  const header = (name: string) => {
    const value = reply.getHeader(name)
    return value === undefined ? null : String(value)
  }
  const body = payload ?? ''
  if (typeof body !== 'string') return null
  const contentType = header('content-type')
  if (body !== '' && contentType?.includes('json') !== true) return null
  return { status: reply.statusCode, contentType, location: header('location'), body }
}

export function answerWith(reply: FastifyReply, answer: KeptAnswer): FastifyReply {
  const { status, contentType, location, body } = answer
  if (contentType !== null) reply.type(contentType)
  if (location !== null) reply.header('location', location)
  return reply.code(status).header('idempotent-replayed', 'true').send(body)
}

/** The answer without the secrets that it shows once; the same one when it shows none. */
export function withheld(answer: KeptAnswer): KeptAnswer {
  if (answer.body === '') return answer
  const body: unknown = JSON.parse(answer.body)
  if (typeof body !== 'object' || body === null || !('showOnce' in body) || !Array.isArray(body.showOnce)) return answer
  if (!body.showOnce.some(isSecret)) return answer
  const showOnce = body.showOnce.map((shown: object) => (isSecret(shown) ? { ...shown, value: shownOnce } : shown))
  return { ...answer, body: JSON.stringify({ ...body, showOnce }) }
}

const isSecret = (shown: unknown) =>
  typeof shown === 'object' && shown !== null && 'secret' in shown && shown.secret === true
