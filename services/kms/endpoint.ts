/**
 * One call of the KMS's API as data: who may make it, what it is audited as, which keys it touches, what goes in and what
 * comes out. The OpenAPI document is made from it, and so is the route: there is no second description.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import { warnsOnly } from '../../lib/service/late-log.ts'
import { type Role, roleOf } from '../../lib/service/roles.ts'
import type { Audit } from './audit.ts'
import { readRequest } from './requests.ts'

/** What a call does with keys of a purpose. None of these is "sign what was sent with a CA key" or "give the key out". */
export interface KeyUse {
  readonly purpose: KmsKey['purpose']
  readonly to: 'create' | 'list' | 'issue certificates' | 'wrap data keys' | 'sign messages' | 'rotate' | 'destroy'
}

export interface Endpoint<Params, Body> {
  readonly method: 'GET' | 'POST'
  /** As Fastify writes it: /v1/cas/:keyId/device-certificates */
  readonly path: string
  readonly summary: string
  readonly roles: readonly Role[]
  /** kms_audit.action */
  readonly action: string
  readonly keys: readonly KeyUse[]
  readonly params?: z.ZodType<Params>
  readonly body?: z.ZodType<Body>
  /** Strict: what is not in it does not leave. */
  readonly answer: z.ZodType
}

export interface Call<Params, Body> {
  readonly params: Params
  readonly body: Body
  readonly role: Role
}

export interface Handler<Params, Body> {
  /** What the call is about, for the audit: tenant, key id, context. No secret. */
  readonly subject: (call: Call<Params, Body>) => string
  readonly work: (call: Call<Params, Body>) => Promise<unknown>
}

export function defineEndpoint<Params = undefined, Body = undefined>(
  endpoint: Endpoint<Params, Body>
): Endpoint<Params, Body> {
  return endpoint
}

/**
 * Makes the route: role, strict reading, the work, strict answer, and the audit row before the answer leaves. What a service of
 * ours may not do, or says wrongly, is on record too; a stranger (401) is in the log only, or he could fill the table.
 */
export function serveEndpoint<Params, Body>(
  app: FastifyInstance,
  audit: Audit,
  endpoint: Endpoint<Params, Body>,
  handler: Handler<Params, Body>
): void {
  const answer = async (request: FastifyRequest) => {
    const role = roleOf(request)
    if (role === null) {
      request.log.warn(
        { method: endpoint.method, url: request.url, from: request.ip },
        'no certificate of the internal CA'
      )
      throw new AppError('unauthenticated', 'Show a client certificate of the internal CA.')
    }
    const entry = { actor: role, action: endpoint.action, subject: '', requestId: request.id }
    return audit.recorded(entry, async (about) => {
      if (!endpoint.roles.includes(role)) throw new AppError('forbidden', `The role ${role} may not do this.`)
      const call = {
        params: readPart(endpoint.params, request.params),
        body: readPart(endpoint.body, request.body),
        role
      }
      about(handler.subject(call))
      const given = endpoint.answer.safeParse(await handler.work(call))
      if (given.success) return given.data
      // Names the places only: what stood there may be a key.
      const places = given.error.issues.map((issue) => issue.path.join('.')).join(', ')
      throw new AppError('internal', `The answer to ${endpoint.action} is not what its description says (${places}).`)
    })
  }
  // The audit has a row for each: the log's two lines would say the same, and cost as much as a signature.
  app.route({ method: endpoint.method, url: endpoint.path, ...warnsOnly, handler: answer })
}

function readPart<T>(schema: z.ZodType<T> | undefined, sent: unknown): T {
  // An endpoint without a schema has no such part: its type is undefined.
  return schema === undefined ? (undefined as T) : readRequest(schema, sent)
}
