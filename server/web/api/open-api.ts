/**
 * The wizard's API as an OpenAPI 3.1 document, made from the very schemas that answers are read with. docs/api/openapi.json
 * is this, held by a test.
 */
import { type Operation, operations } from './operations.ts'
import { bodySchemas } from './request-bodies.ts'
import { componentSchemas } from './schemas.ts'

export function openApiDocument() {
  const paths: Record<string, Record<string, object>> = {}
  for (const operation of operations) {
    const { path, method } = operation
    paths[path] = { ...paths[path], [method.toLowerCase()]: described(operation) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'KeyScaler Setup',
      version: '1',
      description: [
        'The eleven steps of setup, and plan and apply over all of them. The same addresses answer browsers with pages: send Accept: application/json.',
        'The steps take forms too (application/x-www-form-urlencoded); without Accept those are answered with pages, also to a token.',
        'Bearer tokens: keyscaler token create --scope read|setup --expires 1h on the host, or the one-time code at /setup/session.',
        'Once setup is finished every address under /setup answers 410; keyscaler unlock on the host opens them again. x-keyscaler-served says what is there only after setup (after), or at any time (always).',
        'Errors are RFC 9457 problems, and their type opens a page of this server.'
      ].join(' ')
    },
    security: [{ token: [] }],
    paths,
    components: {
      schemas: { ...componentSchemas(), ...bodySchemas() },
      parameters: {
        IdempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          required: false,
          description:
            'With the same key and body the first answer comes again for 24 hours, also after a lost connection or a restart; with another body 422. After a 5xx the same key tries again.',
          schema: { type: 'string', minLength: 1, maxLength: 255 }
        },
        Prefer: {
          name: 'Prefer',
          in: 'header',
          required: false,
          description:
            'RFC 7240. wait=<seconds> (300 at most) waits for the end of the job and answers how it went; without it, or when the time is up, the answer is 202 with the job.',
          schema: { type: 'string' }
        },
        LastEventId: {
          name: 'Last-Event-ID',
          in: 'header',
          required: false,
          description: 'HTML section 9.2.4. Goes on with the event after this one; without it, from the first.',
          schema: { type: 'integer', minimum: 0 }
        }
      },
      responses: {
        Problem: {
          description:
            'RFC 9457. 401 without a token, 403 with one that may only read, 405 with Allow where an address does not take the method, 410 when setup is finished, 421 at a host name that is not ours, 429 after too many codes, 503 with Retry-After when the database or the key store is away.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
        }
      },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'Scope read or setup, or password after setup: see x-keyscaler-scope.'
        }
      }
    }
  } as const
}

const located = { Location: { schema: { type: 'string' } } }
const begun = {
  description: 'Begun: Location is the job.',
  headers: located,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Job' } } }
}

function contentOf(answer: Operation['answer']): object {
  if (answer === 'yaml') return { 'application/yaml': { schema: { type: 'string' } } }
  if (answer === 'record') return { 'application/jose+json': { schema: { type: 'object' } } }
  if (answer === 'events') return { 'text/event-stream': { schema: { type: 'string' } } }
  return { 'application/json': { schema: { $ref: `#/components/schemas/${answer}` } } }
}

/** In a form a list is one text with commas, as in the field of the page. */
function bodyOf({ body, forms }: Operation): object {
  if (body === undefined) return {}
  const encoding = Object.fromEntries((forms ?? []).map((name) => [name, { style: 'form', explode: false }]))
  const form = { 'application/x-www-form-urlencoded': { schema: body, encoding } }
  const content = { 'application/json': { schema: body }, ...(forms === undefined ? {} : form) }
  return { requestBody: { required: true, content } }
}

function described(operation: Operation): object {
  const { operationId, group, summary, scope, served, status, answer, also, refusals, method, path } = operation
  const { begins, waits, resumes } = operation
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' }
  }))
  // The code is spent once whatever happens, so there is nothing to give again; a password is proved by a login each time.
  const keyed = method === 'POST' && scope === 'setup' ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []
  const waiting = begins || waits ? [{ $ref: '#/components/parameters/Prefer' }] : []
  const resuming = resumes ? [{ $ref: '#/components/parameters/LastEventId' }] : []
  const parameters = [...inPath, ...keyed, ...waiting, ...resuming]
  const problem = { $ref: '#/components/responses/Problem' }
  return {
    operationId,
    summary,
    tags: [group],
    ...(scope === null ? { security: [] } : { 'x-keyscaler-scope': scope }),
    ...(served === undefined ? {} : { 'x-keyscaler-served': served }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...bodyOf(operation),
    responses: {
      ...(begins ? { 202: begun } : {}),
      [status]: {
        description: begins ? 'Done, for who preferred to wait.' : 'As asked for.',
        ...(status === 303 || status === 202 ? { headers: located } : {}),
        content: contentOf(answer)
      },
      ...Object.fromEntries(Object.entries(also ?? {}).map(([code, description]) => [code, { description }])),
      ...Object.fromEntries(refusals.map((refusal) => [refusal, problem])),
      default: problem
    }
  }
}
