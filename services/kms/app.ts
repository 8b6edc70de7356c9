/**
 * The KMS's routes, one after the other, each with the roles that may use it. There is no route that signs what a caller sends
 * but with a tenant's signing key and as a message (signing.ts), and none that gives out a key of the token (security: KMS as
 * an oracle).
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { requireRole, roleOf } from '../../lib/service/roles.ts'
import type { Audit } from './audit.ts'
import type { CertificateAuthorities } from './certificate-authority.ts'
import type { DataKeys } from './data-keys.ts'
import type { KeyRing } from './key-ring.ts'
import type { RingKey } from './key-table.ts'
import { readRequest, requests } from './requests.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import type { SigningKeys } from './signing.ts'
import { registerSigning } from './signing-routes.ts'

export interface Kms {
  readonly ring: KeyRing
  readonly dataKeys: DataKeys
  readonly authorities: CertificateAuthorities
  readonly services: ServiceCertificates
  readonly signing: SigningKeys
  readonly audit: Audit
}

export function registerRoutes(app: FastifyInstance, kms: Kms): void {
  const { ring, dataKeys, authorities, services, audit } = kms
  registerSigning(app, kms)

  /** A call that makes or uses a key: its body is read strictly, its end is audited before the answer. */
  const uses = <Body>(
    action: string,
    body: z.ZodType<Body>,
    subjectOf: (body: Body, request: FastifyRequest) => string,
    work: (body: Body, request: FastifyRequest) => Promise<unknown>
  ) => {
    return async (request: FastifyRequest) => {
      const sent = readRequest(body, request.body)
      const entry = {
        actor: roleOf(request) ?? 'nobody',
        action,
        subject: subjectOf(sent, request),
        requestId: request.id
      }
      return audit.recorded(entry, () => work(sent, request))
    }
  }
  const caOf = (request: FastifyRequest) => readRequest(requests.ca, request.params).keyId

  app.get('/v1/keys', { preHandler: requireRole('wizard', 'cp') }, async () => ({ keys: await ring.list() }))

  app.post(
    '/v1/tenant-keys',
    { preHandler: requireRole('wizard') },
    uses(
      'tenant-key.create',
      requests.tenantKey,
      ({ tenant }) => tenant,
      async ({ tenant }) => asKmsKey(await ring.ensure('tenant', tenant, 'AES-256'))
    )
  )

  app.post(
    '/v1/tenant-cas',
    { preHandler: requireRole('wizard') },
    uses('tenant-ca.create', requests.tenantCa, ({ tenant }) => tenant, authorities.create)
  )

  app.post(
    '/v1/cas/:keyId/device-certificates',
    { preHandler: requireRole('dae') },
    uses(
      'device-certificate.issue',
      requests.deviceCertificate,
      ({ commonName, serial }, request) => `${caOf(request)}/${serial}/${commonName}`,
      async (body, request) => ({ certificate: await authorities.issue(caOf(request), body) })
    )
  )

  app.post(
    '/v1/service-certificates',
    { preHandler: requireRole('wizard') },
    uses('service-certificate.issue', requests.serviceCertificate, ({ service }) => service, services.issue)
  )

  app.post(
    '/v1/data-keys',
    { preHandler: requireRole('wizard', 'dae', 'mqs', 'cp') },
    uses(
      'data-key.create',
      requests.dataKey,
      ({ context }) => context,
      async ({ context }) => {
        const { plaintext, wrapped } = await dataKeys.create(context)
        return { plaintext: plaintext.toString('base64'), wrapped }
      }
    )
  )

  app.post(
    '/v1/data-keys/unwrap',
    { preHandler: requireRole('wizard', 'dae', 'mqs', 'cp') },
    uses(
      'data-key.unwrap',
      requests.wrappedDataKey,
      ({ context }) => context,
      async ({ wrapped, context }) => ({ plaintext: (await dataKeys.unwrap(wrapped, context)).toString('base64') })
    )
  )
}

function asKmsKey({ id, purpose, algorithm, label, tenant, state }: RingKey) {
  return { id, purpose, algorithm, label, tenant, state }
}
