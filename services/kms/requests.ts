/** What callers may send: strict, so that a misspelt or unknown member is refused rather than ignored. */
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { serviceNames } from '../catalog.ts'
import { wrappedDataKey } from './answer-schemas.ts'

const tenant = z.string().regex(/^[A-Za-z0-9-]{3,63}$/, 'Use 3 to 63 letters, digits and hyphens.')
const days = z.int().min(1).max(36_525)
const csr = z.string().min(1).max(32_768)
const keyId = z.string().regex(/^[0-9a-f]{32}$/, 'Use the 32 hexadecimal digits of the key id, in lower case.')
/** What a data key is for, e.g. "participants/Example": printable, so that it reads the same everywhere. */
const context = z.string().regex(/^[\x21-\x7e]{1,190}$/, 'Use 1 to 190 visible ASCII characters.')

/** As installs of before key versions keep it. */
const firstWrappedDataKey = z.strictObject({
  mode: z.enum(['caller-iv', 'token-iv']),
  iv: z.union([z.base64().max(64), z.literal('')]),
  data: z.base64().max(4096),
  masterKey: keyId
})

/** 8 to 20 octets, the first from 0x01 to 0x7f: positive, and as short as it can be (RFC 5280 4.1.2.2, X.690 8.3.2). */
const serial = z
  .string()
  .regex(
    /^(?!00)[0-7][0-9A-Fa-f]([0-9A-Fa-f]{2}){7,19}$/,
    'Use 8 to 20 octets in hexadecimal, positive, without leading zeros.'
  )

export const requests = {
  tenantKey: z.strictObject({ tenant }),
  tenantCa: z.strictObject({
    tenant,
    subject: z.string().min(1).max(2000),
    algorithm: z.enum(['EC-P256', 'EC-P384', 'RSA-3072']),
    days
  }),
  ca: z.strictObject({ keyId }),
  succession: z.strictObject({ days }),
  deviceCertificate: z.strictObject({ csr, commonName: z.string().min(1).max(64), serial, days }),
  serviceCertificate: z
    .strictObject({
      service: z.enum(['wizard', ...serviceNames]),
      csr,
      dnsNames: z.array(z.string().min(1).max(253)).max(20),
      ipAddresses: z.array(z.string().min(2).max(45)).max(20)
    })
    .refine((wanted) => wanted.dnsNames.length + wanted.ipAddresses.length > 0, 'Give a DNS name or an IP address.'),
  dataKey: z.strictObject({ context, tenant: tenant.optional() }),
  wrappedDataKey: z.strictObject({
    wrapped: z.union([wrappedDataKey, firstWrappedDataKey]),
    context,
    tenant: tenant.optional()
  }),
  rotation: z
    .strictObject({ purpose: z.enum(['master', 'tenant']), tenant: tenant.optional() })
    .refine((wanted) => (wanted.purpose === 'tenant') === (wanted.tenant !== undefined), {
      path: ['tenant'],
      message: 'Name the tenant of a tenant key, and none for the master key.'
    }),
  rotationInPath: z.strictObject({ rotationId: z.uuid() }),
  /** A row is a few calls of the token; a batch must fit into one answer. */
  batch: z.strictObject({ most: z.int().min(1).max(100).default(20) }),
  destruction: z.strictObject({ label: z.string().min(1).max(64) })
}

/** @throws AppError invalid-input; `fields` has a message for each member that is wrong, and nothing of what was sent */
export function readRequest<T>(schema: z.ZodType<T>, sent: unknown): T {
  const parsed = schema.safeParse(sent)
  if (parsed.success) return parsed.data
  const fields = Object.fromEntries(parsed.error.issues.map((issue) => [issue.path.join('.') || '_', issue.message]))
  throw new AppError('invalid-input', `The request is not valid: ${Object.keys(fields).join(', ')}.`, { fields })
}
