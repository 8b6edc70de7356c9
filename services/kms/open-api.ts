/** The KMS's API as an OpenAPI 3.1 document, made from the very schemas that requests and answers are read with. */
import { z } from 'zod'
import { errorCodes } from '../../lib/errors/app-error.ts'
import { problemTable } from '../../lib/service/problems.ts'
import type { Endpoint } from './endpoint.ts'
import { endpoints } from './endpoints.ts'
import { signingEndpoints } from './signing-endpoints.ts'

/** Everything that the KMS serves beside health and metrics. */
export const allEndpoints = { ...endpoints, ...signingEndpoints }

export function openApiDocument() {
  const paths: Record<string, Record<string, object>> = {}
  for (const [name, endpoint] of Object.entries(allEndpoints)) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(name, endpoint) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'KeyScaler Key Management Service',
      version: '1',
      description:
        'Mutual TLS: the client certificate is of the internal CA, and the role that it names (SAN urn:keyscaler:service:<role>) decides. Every call is on record in kms_audit before it is answered. No call signs a digest, and none gives out a key of the token.'
    },
    security: [{ serviceCertificate: [] }],
    paths,
    components: {
      securitySchemes: {
        serviceCertificate: { type: 'mutualTLS', description: 'A certificate of the internal CA with a role.' }
      },
      responses: {
        problem: {
          description: 'RFC 9457. 503 has Retry-After: the key store or the database is away, or too many calls wait.',
          content: { 'application/problem+json': { schema: jsonSchema(problem, 'output') } }
        }
      }
    }
  } as const
}

const problem = z.object({
  type: z.string().describe(`/problems/<code>, or about:blank. Codes: ${errorCodes.join(', ')}.`),
  status: z
    .int()
    .describe(`One of ${[...new Set(Object.values(problemTable).map(({ status }) => status))].sort().join(', ')}.`),
  title: z.string(),
  detail: z.string(),
  instance: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  cure: z.string().optional()
})

function operation(operationId: string, endpoint: Endpoint<unknown, unknown>): object {
  const { summary, roles, action, keys, params, body, answer } = endpoint
  return {
    operationId,
    summary,
    'x-keyscaler-roles': roles,
    'x-keyscaler-audit': action,
    'x-keyscaler-keys': keys,
    ...(params === undefined ? {} : { parameters: pathParameters(params) }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(body, 'input') } } } }),
    responses: {
      200: {
        description: 'Done, and on record.',
        content: { 'application/json': { schema: jsonSchema(answer, 'output') } }
      },
      default: { $ref: '#/components/responses/problem' }
    }
  }
}

function pathParameters(params: z.ZodType): object[] {
  const { properties = {} } = z.toJSONSchema(params)
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'path', required: true, schema }))
}

/** OpenAPI 3.1 takes JSON Schema 2020-12 as it is; the dialect need not be named in every one. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}
