/**
 * /problems/<code>: where the `type` of every problem leads (RFC 9457 section 3.1.1), as a page or as JSON, while setup is
 * open and when it is locked. The words are those of docs/errors.md (error-help.ts).
 */
import type { FastifyInstance } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { errorRows, type ProblemPage } from '../error-help.ts'
import { prefersPage } from '../negotiation.ts'
import { product } from '../product.ts'

export function problemPages(app: FastifyInstance): void {
  app.get<{ Params: { readonly code: string } }>('/problems/:code', async (request, reply) => {
    const error = errorRows.find(({ code }) => code === request.params.code)
    if (error === undefined) {
      throw new AppError('not-found', `There is no problem named ${request.params.code.slice(0, 40)}.`, {
        cure: '/help/errors lists them all.'
      })
    }
    if (!prefersPage(request)) return error
    const page: ProblemPage = { product, error }
    return reply.viewAsync('/help/problem.eta', page)
  })
}
