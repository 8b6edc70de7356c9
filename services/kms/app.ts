/** The KMS's routes: each endpoint of endpoints.ts with what it does. */
import type { FastifyInstance } from 'fastify'
import type { Audit } from './audit.ts'
import type { SucceedCa } from './ca-rollover.ts'
import type { CertificateAuthorities } from './certificate-authority.ts'
import type { DataKeys } from './data-keys.ts'
import { type Endpoint, type Handler, serveEndpoint } from './endpoint.ts'
import { endpoints } from './endpoints.ts'
import type { DestroyKey } from './key-destruction.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyRotations } from './key-rotation.ts'
import type { RingKey } from './key-table.ts'
import { openApiDocument } from './open-api.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import type { SigningKeys } from './signing.ts'
import { registerSigning } from './signing-routes.ts'

export interface Kms {
  readonly ring: KeyRing
  readonly dataKeys: DataKeys
  readonly authorities: CertificateAuthorities
  readonly services: ServiceCertificates
  readonly signing: SigningKeys
  readonly succeedCa: SucceedCa
  readonly rotations: KeyRotations
  readonly destroyKey: DestroyKey
  readonly audit: Audit
}

export function registerRoutes(app: FastifyInstance, kms: Kms): void {
  const { ring, dataKeys, authorities, services, rotations, audit } = kms
  const serve = <Params, Body>(endpoint: Endpoint<Params, Body>, handler: Handler<Params, Body>) =>
    serveEndpoint(app, audit, endpoint, handler)
  const nothing = () => ''

  serve(endpoints.describe, { subject: nothing, work: async () => openApiDocument() })
  serve(endpoints.listKeys, { subject: nothing, work: async () => ({ keys: await ring.list() }) })

  serve(endpoints.createTenantKey, {
    subject: ({ body }) => body.tenant,
    work: async ({ body }) => asKmsKey(await ring.ensure('tenant', body.tenant, 'AES-256'))
  })
  serve(endpoints.createTenantCa, {
    subject: ({ body }) => body.tenant,
    work: ({ body }) => authorities.create(body)
  })
  serve(endpoints.succeedTenantCa, {
    subject: ({ params }) => params.keyId,
    work: ({ params, body }) => kms.succeedCa(params.keyId, body.days)
  })
  serve(endpoints.issueDeviceCertificate, {
    subject: ({ params, body }) => `${params.keyId}/${body.serial}/${body.commonName}`,
    work: async ({ params, body }) => ({ certificate: await authorities.issue(params.keyId, body) })
  })
  serve(endpoints.issueServiceCertificate, {
    subject: ({ body }) => body.service,
    work: ({ body }) => services.issue(body)
  })

  serve(endpoints.newDataKey, {
    subject: ({ body }) => named(body),
    work: async ({ body }) => {
      const { plaintext, wrapped } = await dataKeys.create(body)
      return { plaintext: plaintext.toString('base64'), wrapped }
    }
  })
  serve(endpoints.unwrapDataKey, {
    subject: ({ body }) => named(body),
    work: async ({ body: { wrapped, ...use } }) => ({
      plaintext: (await dataKeys.unwrap(wrapped, use)).toString('base64')
    })
  })

  serve(endpoints.beginRotation, {
    subject: ({ body }) => body.tenant ?? body.purpose,
    work: async ({ body }) => rotations.begin(body.purpose, body.tenant ?? null)
  })
  serve(endpoints.continueRotation, {
    subject: ({ params }) => params.rotationId,
    work: ({ params, body }) => rotations.advance(params.rotationId, body.most)
  })
  serve(endpoints.destroyKey, {
    subject: ({ params }) => params.keyId,
    work: async ({ params, body }) => asKmsKey(await kms.destroyKey(params.keyId, body.label))
  })
  registerSigning(app, kms)
}

/** `participants (tenant Example)` */
function named({ context, tenant }: { readonly context: string; readonly tenant?: string | undefined }): string {
  return tenant === undefined ? context : `${context} (tenant ${tenant})`
}

function asKmsKey({ publicKey, certificate, ...key }: RingKey) {
  return key
}
