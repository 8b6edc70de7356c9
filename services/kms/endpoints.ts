/**
 * The KMS's API, one call after the other. There is none that signs what a caller sends but with a tenant's signing key and as
 * a message, and none that gives out a key of the token (security: KMS as an oracle). docs/kms-openapi.json is made from this.
 */
import { answerSchemas as answers } from './answer-schemas.ts'
import { defineEndpoint } from './endpoint.ts'
import { requests } from './requests.ts'

export const endpoints = {
  describe: defineEndpoint({
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This description.',
    roles: ['wizard'],
    action: 'api.describe',
    keys: [],
    answer: answers.openApi
  }),
  listKeys: defineEndpoint({
    method: 'GET',
    path: '/v1/keys',
    summary: 'Every key of this install by id, label, version and state; never a key itself.',
    roles: ['wizard', 'cp'],
    action: 'key.list',
    keys: (['master', 'service-ca', 'tenant-ca', 'tenant', 'signing'] as const).map((purpose) => ({
      purpose,
      to: 'list' as const
    })),
    answer: answers.keys
  }),
  createTenantKey: defineEndpoint({
    method: 'POST',
    path: '/v1/tenant-keys',
    summary: "Makes a tenant's key in the token, or answers the one that there is.",
    roles: ['wizard'],
    action: 'tenant-key.create',
    keys: [{ purpose: 'tenant', to: 'create' }],
    body: requests.tenantKey,
    answer: answers.key
  }),
  createTenantCa: defineEndpoint({
    method: 'POST',
    path: '/v1/tenant-cas',
    summary:
      "Makes a tenant's CA: its key in the token and the certificate that it signs itself, or answers the one there is.",
    roles: ['wizard'],
    action: 'tenant-ca.create',
    keys: [
      { purpose: 'tenant-ca', to: 'create' },
      { purpose: 'tenant-ca', to: 'issue certificates' }
    ],
    body: requests.tenantCa,
    answer: answers.tenantCa
  }),
  succeedTenantCa: defineEndpoint({
    method: 'POST',
    path: '/v1/cas/:keyId/successor',
    summary: 'The next key of a tenant CA, under the same name: its certificate, and how old and new sign each other.',
    roles: ['wizard'],
    action: 'tenant-ca.succeed',
    keys: [
      { purpose: 'tenant-ca', to: 'create' },
      { purpose: 'tenant-ca', to: 'issue certificates' }
    ],
    params: requests.ca,
    body: requests.succession,
    answer: answers.succession
  }),
  issueDeviceCertificate: defineEndpoint({
    method: 'POST',
    path: '/v1/cas/:keyId/device-certificates',
    summary: 'A certificate for a device; the profile decides what is in it, the request proves possession of the key.',
    roles: ['dae'],
    action: 'device-certificate.issue',
    keys: [{ purpose: 'tenant-ca', to: 'issue certificates' }],
    params: requests.ca,
    body: requests.deviceCertificate,
    answer: answers.certificate
  }),
  issueServiceCertificate: defineEndpoint({
    method: 'POST',
    path: '/v1/service-certificates',
    summary: 'A TLS certificate for a service of ours; its role is in it.',
    roles: ['wizard'],
    action: 'service-certificate.issue',
    keys: [{ purpose: 'service-ca', to: 'issue certificates' }],
    body: requests.serviceCertificate,
    answer: answers.serviceCertificate
  }),
  newDataKey: defineEndpoint({
    method: 'POST',
    path: '/v1/data-keys',
    summary:
      "A new data key, in clear and wrapped under the tenant's key (where a tenant is named) and the master key.",
    roles: ['wizard', 'dae', 'mqs', 'cp'],
    action: 'data-key.create',
    keys: [
      { purpose: 'tenant', to: 'wrap data keys' },
      { purpose: 'master', to: 'wrap data keys' }
    ],
    body: requests.dataKey,
    answer: answers.dataKey
  }),
  unwrapDataKey: defineEndpoint({
    method: 'POST',
    path: '/v1/data-keys/unwrap',
    summary: 'A data key in clear again, for the context and tenant that it was made for.',
    roles: ['wizard', 'dae', 'mqs', 'cp'],
    action: 'data-key.unwrap',
    keys: [
      { purpose: 'tenant', to: 'wrap data keys' },
      { purpose: 'master', to: 'wrap data keys' }
    ],
    body: requests.wrappedDataKey,
    answer: answers.plaintext
  }),
  beginRotation: defineEndpoint({
    method: 'POST',
    path: '/v1/rotations',
    summary: "Makes a new version of the master key or of a tenant's, or answers the rotation that is under way.",
    roles: ['wizard'],
    action: 'key.rotate',
    keys: [
      { purpose: 'master', to: 'rotate' },
      { purpose: 'tenant', to: 'rotate' }
    ],
    body: requests.rotation,
    answer: answers.rotation
  }),
  continueRotation: defineEndpoint({
    method: 'POST',
    path: '/v1/rotations/:rotationId/batches',
    summary: 'Re-wraps the next data keys under the new version; to be called until the state is "done".',
    roles: ['wizard'],
    action: 'data-key.rewrap',
    keys: [
      { purpose: 'master', to: 'rotate' },
      { purpose: 'tenant', to: 'rotate' }
    ],
    params: requests.rotationInPath,
    body: requests.batch,
    answer: answers.rotation
  }),
  destroyKey: defineEndpoint({
    method: 'POST',
    path: '/v1/keys/:keyId/destruction',
    summary: 'Destroys a retired key that wraps nothing any more; its label must be named.',
    roles: ['wizard'],
    action: 'key.destroy',
    keys: (['master', 'tenant', 'tenant-ca', 'signing'] as const).map((purpose) => ({
      purpose,
      to: 'destroy' as const
    })),
    params: requests.ca,
    body: requests.destruction,
    answer: answers.key
  })
} as const
