/**
 * The description of the API while setup is open: as OpenAPI for programs, as a page that loads nothing from elsewhere for
 * people, and the JSON Schema of the answers file. Nothing of this install is in them, so no token is asked for.
 */
import type { FastifyInstance } from 'fastify'
import { answersSchema } from '../../install/answers-schema.ts'
import { steps } from '../../install/steps.ts'
import { prefersPage } from '../negotiation.ts'
import { product } from '../product.ts'
import type { ApiPage } from '../view-model.ts'
import { openApiDocument } from './open-api.ts'
import { operations } from './operations.ts'
import { bodySchemas } from './request-bodies.ts'
import { componentSchemas } from './schemas.ts'

export async function descriptionRoutes(app: FastifyInstance): Promise<void> {
  const document = openApiDocument()
  const schema = answersSchema(steps)
  app.get('/setup/openapi.json', async () => document)
  app.get('/setup/answers.schema.json', async () => schema)
  app.get('/setup/api', async (request, reply) =>
    prefersPage(request) ? reply.viewAsync('/api.eta', apiPage()) : document
  )
}

export function apiPage(): ApiPage {
  const pretty = (json: unknown) => JSON.stringify(json, null, 2)
  const groups = [...new Set(operations.map(({ group }) => group))]
  return {
    product,
    groups: groups.map((title) => ({
      title,
      operations: operations
        .filter(({ group }) => group === title)
        .map(({ operationId, method, path, summary, scope, body, status, answer, also, refusals, begins }) => ({
          id: operationId,
          method,
          path,
          summary,
          scope: scope ?? 'none',
          ...(body === undefined ? {} : { body: pretty(body) }),
          answers: [
            ...(begins ? ['202 Job'] : []),
            `${status} ${answer}`,
            ...Object.keys(also ?? {}),
            ...refusals.map((refusal) => `${refusal} Problem`)
          ]
        }))
    })),
    schemas: Object.entries({ ...componentSchemas(), ...bodySchemas() }).map(([name, schema]) => ({
      name,
      json: pretty(schema)
    }))
  }
}
