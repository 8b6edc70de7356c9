/** Answers that are refused as they stand, or by a check: a problem for a script, with what the checks saw. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AppError } from '../../../lib/errors/app-error.ts'
import { problemOf } from '../../../lib/service/problems.ts'

export function answerRefused(
  request: FastifyRequest,
  reply: FastifyReply,
  error: AppError,
  findings: readonly unknown[],
  more: object = {}
): FastifyReply {
  const problem = problemOf(error, request.id)
  if (problem.status === 503) reply.header('retry-after', '2')
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send({ ...problem, findings, ...more })
}
