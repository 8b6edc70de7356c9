/** RFC 9457 problem documents for services: one table from our closed codes to status and title. */
import { randomUUID } from 'node:crypto'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { asDatabaseError } from '../database/pool.ts'
import { AppError, type ErrorCode, errorCodes, type FieldCause } from '../errors/app-error.ts'

export interface ProblemRow {
  readonly status: number
  readonly title: string
  /** False: the detail stays in the log, the caller gets an id to quote. */
  readonly showDetail: boolean
}

export const problemTable: Readonly<Record<ErrorCode, ProblemRow>> = {
  'invalid-input': { status: 422, title: 'The request is not valid', showDetail: true },
  unauthenticated: { status: 401, title: 'Not signed in', showDetail: true },
  forbidden: { status: 403, title: 'Not allowed', showDetail: true },
  'not-found': { status: 404, title: 'Not found', showDetail: true },
  conflict: { status: 409, title: 'Conflict', showDetail: true },
  'out-of-order': { status: 409, title: 'Out of order', showDetail: true },
  'check-failed': { status: 422, title: 'A check failed', showDetail: true },
  'pin-rejected': { status: 422, title: 'The password was rejected by the token', showDetail: true },
  'key-store-unavailable': { status: 503, title: 'The key store is not available', showDetail: true },
  'database-unavailable': { status: 503, title: 'The database is not available', showDetail: true },
  'broker-unavailable': { status: 503, title: 'The broker is not available', showDetail: true },
  'service-unavailable': { status: 503, title: 'A service is not available', showDetail: true },
  'deadline-exceeded': { status: 504, title: 'No answer in time', showDetail: true },
  'deploy-failed': { status: 500, title: 'The deployment failed', showDetail: true },
  locked: { status: 410, title: 'Setup is locked', showDetail: true },
  internal: { status: 500, title: 'Something went wrong on our side', showDetail: false }
}

export interface Problem {
  readonly type: string
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly instance: string
  /** `code` and `remedy` of the check that refused a field, where one did. */
  readonly errors?: readonly ({ readonly pointer: string; readonly detail: string } & Partial<FieldCause>)[]
  readonly cure?: string
}

/** Asked at a host name that is not ours (RFC 9110 section 15.5.20). */
export class Misdirected extends Error {
  readonly statusCode = 421
  readonly cure: string

  constructor(cure: string) {
    super('This name is not served here.')
    this.cure = cure
  }
}

/** What a caller may know of anything thrown; Fastify's own 4xx (body too large, malformed JSON) keep their status. */
export function problemOf(error: unknown, requestId: string): Problem {
  const thrown = asDatabaseError(error)
  const instance = `urn:request:${requestId}`
  if (thrown instanceof AppError) {
    const row = problemTable[thrown.code]
    return {
      type: `/problems/${thrown.code}`,
      status: row.status,
      title: row.title,
      detail: row.showDetail ? thrown.message : `Quote ${requestId} when you ask for help.`,
      instance,
      ...(thrown.fields === undefined
        ? {}
        : {
            errors: Object.entries(thrown.fields).map(([name, detail]) => ({
              pointer: `/${name}`,
              detail,
              ...causeOf(thrown, name)
            }))
          }),
      ...(thrown.cure === undefined ? {} : { cure: thrown.cure })
    }
  }
  const status = statusOf(thrown)
  if (status >= 400 && status < 500) {
    return { type: 'about:blank', status, title: 'The request is not valid', ...unread(thrown, status), instance }
  }
  return {
    type: '/problems/internal',
    status: 500,
    title: problemTable.internal.title,
    detail: `Quote ${requestId} when you ask for help.`,
    instance
  }
}

function causeOf({ causes }: AppError, name: string): Partial<FieldCause> {
  return (causes !== undefined && Object.hasOwn(causes, name) ? causes[name] : undefined) ?? {}
}

/** The code that a problem's `type` names, also as services before 0.2 wrote it (`/help/errors#<code>`); null for another's. */
export function codeOfProblem(type: string): ErrorCode | null {
  const named = /^(?:\/problems\/|\/help\/errors#)([a-z-]+)$/.exec(type)?.[1]
  return errorCodes.find((known) => known === named) ?? null
}

function statusOf(thrown: unknown): number {
  return thrown instanceof Error && 'statusCode' in thrown ? Number(thrown.statusCode) : 500
}

/** By Fastify's code: what was wrong before anybody looked at what the request says. */
const unreadable: Readonly<Record<string, Pick<Problem, 'detail' | 'cure'>>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: {
    detail: 'The body is not JSON.',
    cure: 'Look at its quotes and commas; from a shell, send it from a file: curl --data-binary @answers.json'
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    detail: 'The body is empty.',
    cure: 'Send a JSON object, {} where there is nothing to say.'
  },
  FST_ERR_BAD_URL: {
    detail: 'The address cannot be read.',
    cure: 'After each % stand two hexadecimal digits; a % itself is written %25.'
  }
}

function unread(thrown: unknown, status: number): Pick<Problem, 'detail' | 'cure'> {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const known = unreadable[code]
  if (known !== undefined) return known
  if (thrown instanceof Misdirected) return { detail: thrown.message, cure: thrown.cure }
  if (status === 413) {
    return {
      detail: 'The request body is too large.',
      cure: 'Nothing that is asked for is that large: is it the right file?'
    }
  }
  if (status === 415) return { detail: 'Send application/json.' }
  if (status === 429) return { detail: 'Too many requests; wait a little.' }
  return { detail: 'The request could not be read.' }
}

/** Fastify's error handler of every service. Unknown errors are logged whole and answered plainly. */
export function answerProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request.id)
  if (problem.status >= 500) request.log.error({ err: error }, problem.title)
  if (problem.status === 503) reply.header('retry-after', '2')
  reply.code(problem.status).type('application/problem+json').send(problem)
}

export function newRequestId(): string {
  return randomUUID()
}
