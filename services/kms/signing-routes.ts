/** Signing keys over REST: the wizard makes them, services have messages signed. Audited like every use of a key. */
import type { FastifyInstance } from 'fastify'
import type { Kms } from './app.ts'
import { serveEndpoint } from './endpoint.ts'
import { signingEndpoints } from './signing-endpoints.ts'

export function registerSigning(app: FastifyInstance, { signing, audit }: Pick<Kms, 'signing' | 'audit'>): void {
  const signed = async (keyId: string, messages: readonly string[]) => {
    const bytes = messages.map((message) => Buffer.from(message, 'base64'))
    return (await signing.sign(keyId, bytes)).map((signature) => Buffer.from(signature).toString('base64'))
  }
  serveEndpoint(app, audit, signingEndpoints.createSigningKey, {
    subject: ({ body }) => body.tenant,
    work: ({ body }) => signing.create(body.tenant, body.algorithm)
  })
  serveEndpoint(app, audit, signingEndpoints.signMessage, {
    subject: ({ params }) => params.keyId,
    work: async ({ params, body }) => {
      const [signature] = await signed(params.keyId, [body.message])
      return { signature }
    }
  })
  serveEndpoint(app, audit, signingEndpoints.signMessages, {
    subject: ({ params, body }) => `${params.keyId} (${body.messages.length} messages)`,
    work: async ({ params, body }) => ({ signatures: await signed(params.keyId, body.messages) })
  })
  serveEndpoint(app, audit, signingEndpoints.listSigningKeyVersions, {
    subject: ({ params }) => params.keyId,
    work: async ({ params }) => ({ versions: await signing.versions(params.keyId) })
  })
  serveEndpoint(app, audit, signingEndpoints.succeedSigningKey, {
    subject: ({ params }) => params.keyId,
    work: ({ params }) => signing.succeed(params.keyId)
  })
}
