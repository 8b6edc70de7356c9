/** What the KMS answers: strict, so that nothing leaves that is not in its description. */
import { z } from 'zod'

const keyId = z.string().regex(/^[0-9a-f]{32}$/)
const certificate = z.string().startsWith('-----BEGIN CERTIFICATE-----').describe('PEM')

export const wrappedDataKey = z.strictObject({
  v: z.literal(2),
  aad: z
    .strictObject({ table: z.literal('data_keys'), row: z.string(), tenant: z.string().nullable() })
    .describe('What every layer is bound to.'),
  layers: z
    .array(
      z.strictObject({
        key: keyId,
        keyVersion: z.int().min(1),
        mechanism: z.literal('CKM_AES_GCM'),
        ivMode: z.enum(['caller-iv', 'token-iv']),
        iv: z.union([z.base64().max(64), z.literal('')])
      })
    )
    .min(1)
    .max(2)
    .describe("From the inside out: the tenant's key where there is one, then the master key."),
  data: z.base64().max(4096)
})

const key = z.strictObject({
  id: keyId,
  purpose: z.enum(['master', 'service-ca', 'tenant-ca', 'tenant', 'signing']),
  algorithm: z.string(),
  label: z.string(),
  tenant: z.string().nullable(),
  state: z.enum(['intent', 'active', 'retired', 'destroyed']),
  version: z.int().min(1),
  checkValue: z
    .string()
    .regex(/^[0-9a-f]{6}$/)
    .nullable()
    .describe('Key check value of an AES key: tells one from another, and nothing of it.')
})

const dataKey = z.base64().length(44).describe('32 bytes, for the caller to encrypt with and to forget.')

export const answerSchemas = {
  keys: z.strictObject({ keys: z.array(key) }),
  key,
  tenantCa: z.strictObject({ keyId, certificate }),
  succession: z.strictObject({
    keyId,
    certificate,
    newWithOld: certificate.describe('For who trusts the old key: the new one, signed by it (RFC 4210 4.4).'),
    oldWithNew: certificate.describe('For who trusts the new key only: the old one, signed by it.')
  }),
  certificate: z.strictObject({ certificate }),
  serviceCertificate: z.strictObject({ certificate, ca: certificate }),
  dataKey: z.strictObject({ plaintext: dataKey, wrapped: wrappedDataKey }),
  plaintext: z.strictObject({ plaintext: dataKey }),
  rotation: z.strictObject({
    id: z.uuid(),
    purpose: z.enum(['master', 'tenant']),
    tenant: z.string().nullable(),
    fromKey: keyId,
    toKey: keyId,
    state: z.enum(['rewrapping', 'done']),
    total: z.int(),
    rewrapped: z.int(),
    unreadable: z.int()
  }),
  openApi: z.looseObject({ openapi: z.literal('3.1.1') })
}
