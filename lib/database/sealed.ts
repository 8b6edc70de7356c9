/**
 * Sealed columns: AES-256-GCM under a data key that the master key in the key store wraps. The AAD is
 * "table/row/tenant", so a value copied to another row does not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'

/** Stored as JSON; `key` names the data key (data_keys.context). */
export interface SealedText {
  readonly v: 1
  readonly iv: string
  /** Base64 of ciphertext and tag. */
  readonly data: string
}

/** @param dataKey 32 bytes */
export function seal(dataKey: Uint8Array, aad: string, plaintext: string): SealedText {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', dataKey, iv)
  cipher.setAAD(Buffer.from(aad))
  const data = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return { v: 1, iv: iv.toString('base64'), data: data.toString('base64') }
}

/** @throws AppError invalid-input when key, AAD or bytes do not belong together */
export function unseal(dataKey: Uint8Array, aad: string, sealed: SealedText): string {
  const bytes = Buffer.from(sealed.data, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', dataKey, Buffer.from(sealed.iv, 'base64'))
    decipher.setAAD(Buffer.from(aad))
    decipher.setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString('utf8')
  } catch (cause) {
    throw new AppError('invalid-input', `The sealed value at ${aad} does not open.`, { cause })
  }
}
