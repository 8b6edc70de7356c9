/** Signing keys over REST: the wizard makes them, services have messages signed. Audited like every use of a key. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { requireRole, roleOf } from '../../lib/service/roles.ts'
import type { Kms } from './app.ts'
import { readRequest, requests } from './requests.ts'

/** Bytes, a multiple of 3, so that the length of its base64 tells. What is larger the caller hashes, and has signed as a message. */
const mostMessage = 65_535

const newKey = z.strictObject({
  tenant: requests.tenantKey.shape.tenant,
  algorithm: z.enum(['EC-P256', 'RSA-3072'])
})
const keyInPath = requests.ca
const toSign = z.strictObject({
  message: z
    .base64()
    .min(1)
    .max((mostMessage / 3) * 4)
})

export function registerSigning(app: FastifyInstance, { signing, audit }: Pick<Kms, 'signing' | 'audit'>): void {
  const recorded = <T>(request: FastifyRequest, action: string, subject: string, work: () => Promise<T>) =>
    audit.recorded({ actor: roleOf(request) ?? 'nobody', action, subject, requestId: request.id }, work)

  app.post('/v1/signing-keys', { preHandler: requireRole('wizard') }, async (request) => {
    const { tenant, algorithm } = readRequest(newKey, request.body)
    return recorded(request, 'signing-key.create', tenant, () => signing.create(tenant, algorithm))
  })

  app.post(
    '/v1/signing-keys/:keyId/signatures',
    { preHandler: requireRole('wizard', 'cp', 'dae') },
    async (request) => {
      const { keyId } = readRequest(keyInPath, request.params)
      const { message } = readRequest(toSign, request.body)
      return recorded(request, 'message.sign', keyId, async () => {
        const signature = await signing.sign(keyId, Buffer.from(message, 'base64'))
        return { signature: Buffer.from(signature).toString('base64') }
      })
    }
  )
}
