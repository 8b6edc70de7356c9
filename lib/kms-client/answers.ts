/** What the KMS's answers must look like; anything else is a KMS that we do not understand. */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

const key = z.object({
  id: z.string(),
  purpose: z.enum(['master', 'service-ca', 'tenant-ca', 'tenant', 'signing']),
  algorithm: z.string(),
  label: z.string(),
  tenant: z.string().nullable(),
  state: z.enum(['intent', 'active', 'retired', 'destroyed']),
  version: z.int(),
  checkValue: z.string().nullable()
})
const secret = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === 32, 'not 32 bytes')
const wrapped = z.object({
  v: z.literal(2),
  aad: z.object({ table: z.literal('data_keys'), row: z.string(), tenant: z.string().nullable() }),
  layers: z.array(
    z.object({
      key: z.string(),
      keyVersion: z.int(),
      mechanism: z.literal('CKM_AES_GCM'),
      ivMode: z.enum(['caller-iv', 'token-iv']),
      iv: z.string()
    })
  ),
  data: z.string()
})
const rotation = z.object({
  id: z.string(),
  purpose: z.enum(['master', 'tenant']),
  tenant: z.string().nullable(),
  fromKey: z.string(),
  toKey: z.string(),
  state: z.enum(['rewrapping', 'done']),
  total: z.int(),
  rewrapped: z.int(),
  unreadable: z.int()
})
const certificate = z.string().startsWith('-----BEGIN CERTIFICATE-----')
const readiness = z.object({
  ready: z.boolean(),
  parts: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() }))
})

export const answers = {
  health: reads(
    readiness.transform(({ ready, parts }) => ({
      ready,
      detail: Object.entries(parts)
        .map(([name, part]) => `${name}: ${part.detail}`)
        .join('; ')
    }))
  ),
  keys: reads(z.object({ keys: z.array(key) }).transform((answer) => answer.keys)),
  key: reads(key),
  signingKey: reads(z.object({ keyId: z.string(), publicKey: z.string().startsWith('-----BEGIN PUBLIC KEY-----') })),
  signature: reads(z.object({ signature: z.base64() }).transform((answer) => Buffer.from(answer.signature, 'base64'))),
  rotation: reads(rotation),
  tenantCa: reads(z.object({ keyId: z.string(), certificate })),
  succession: reads(z.object({ keyId: z.string(), certificate, newWithOld: certificate, oldWithNew: certificate })),
  certificate: reads(z.object({ certificate }).transform((answer) => answer.certificate)),
  serviceCertificate: reads(z.object({ certificate, ca: certificate })),
  dataKey: reads(z.object({ plaintext: secret, wrapped })),
  plaintext: reads(z.object({ plaintext: secret }).transform((answer) => answer.plaintext))
}

/** The message names the places that are wrong, never what stood there: it may be a key. */
function reads<T>(schema: z.ZodType<T>): (json: unknown) => T {
  return (json) => {
    const parsed = schema.safeParse(json)
    if (parsed.success) return parsed.data
    const places = parsed.error.issues.map((issue) => issue.path.join('.') || 'body').join(', ')
    throw new AppError('service-unavailable', `The KMS answered something unexpected (${places}).`, {
      cure: 'Check that the address is that of the KMS, and that both are of the same version.'
    })
  }
}
