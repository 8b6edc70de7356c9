/**
 * Sealed columns: AES-256-GCM under a data key (kms-client/data-key.ts). Table, row and tenant are the associated data, so a value
 * that is copied to another row or tenant does not open; they are kept beside it, with the name of its key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

export interface SealedPlace {
  readonly table: string
  readonly row: string
  /** null: the install's own. */
  readonly tenant: string | null
}

export interface NamedDataKey {
  /** data_keys.context */
  readonly context: string
  /** 32 bytes. */
  readonly bytes: Uint8Array
}

const place = z.strictObject({ table: z.string(), row: z.string(), tenant: z.string().nullable() })

/** Stored as JSON. The first form is what older installs have: its key and its place are known from where it stands. */
export const sealedText = z.discriminatedUnion('v', [
  z.strictObject({ v: z.literal(1), iv: z.string(), data: z.string() }),
  z.strictObject({
    v: z.literal(2),
    key: z.string(),
    mechanism: z.literal('AES-256-GCM'),
    ivMode: z.literal('caller-iv'),
    aad: place,
    iv: z.string(),
    /** Base64 of ciphertext and tag. */
    data: z.string()
  })
])

export type SealedText = z.infer<typeof sealedText>

export function seal(key: NamedDataKey, aad: SealedPlace, plaintext: string): SealedText {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.bytes, iv)
  cipher.setAAD(bindingOf(key.context, aad))
  const data = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return {
    v: 2,
    key: key.context,
    mechanism: 'AES-256-GCM',
    ivMode: 'caller-iv',
    aad,
    iv: iv.toString('base64'),
    data: data.toString('base64')
  }
}

/** @throws AppError invalid-input when key, place or bytes do not belong together */
export function unseal(key: NamedDataKey, aad: SealedPlace, sealed: SealedText): string {
  const bytes = Buffer.from(sealed.data, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, Buffer.from(sealed.iv, 'base64'))
    // What stands beside it says what it was made for; what it is asked for decides.
    decipher.setAAD(sealed.v === 1 ? firstBinding(aad) : bindingOf(key.context, aad))
    decipher.setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8')
  } catch (cause) {
    throw new AppError('invalid-input', `The sealed value at ${aad.table}/${aad.row} does not open.`, { cause })
  }
}

/** JSON with the members in this order: nothing in a name can be taken for a border. */
function bindingOf(context: string, { table, row, tenant }: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify(['sealed', 2, context, table, row, tenant]))
}

function firstBinding({ table, row, tenant }: SealedPlace): Buffer {
  return Buffer.from([table, row, ...(tenant === null ? [] : [tenant])].join('/'))
}
