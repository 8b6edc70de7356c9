/**
 * Attribute templates from typed builders only: a malformed element aborts the process (pkcs11.md section 1).
 * Every key is sensitive, stays in the token, cannot be changed, and has one use.
 */
import type { Template } from 'pkcs11js'
import pkcs11js from 'pkcs11js'
import type { KeyAlgorithm } from './keystore.ts'

export interface KeyPlace {
  /** False makes a session object, gone with the session. */
  readonly token: boolean
  /** CKA_ID; session objects of a round trip have none. */
  readonly id?: Buffer
  readonly label?: string
}

/** DER of the curve's object identifier (CKA_EC_PARAMS). */
const curves = {
  'EC-P256': Buffer.from('06082a8648ce3d030107', 'hex'),
  'EC-P384': Buffer.from('06052b81040022', 'hex')
} as const

/** The round trip of a probe uses the shorter one: it proves the same and is made in a quarter of the time. */
const rsaModulusBits = { 'RSA-2048': 2048, 'RSA-3072': 3072 } as const

function named(place: KeyPlace): Template {
  const template: Template = [{ type: pkcs11js.CKA_TOKEN, value: place.token }]
  if (place.id !== undefined) template.push({ type: pkcs11js.CKA_ID, value: place.id })
  if (place.label !== undefined) template.push({ type: pkcs11js.CKA_LABEL, value: place.label })
  // Some tokens refuse CKA_MODIFIABLE on session objects; there it protects nothing anyway.
  if (place.token) template.push({ type: pkcs11js.CKA_MODIFIABLE, value: false })
  return template
}

/** AES-256 that encrypts and decrypts, and never wraps: data keys are encrypted with GCM (pkcs11.md section 2). */
export function aesTemplate(place: KeyPlace): Template {
  return [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
    { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
    ...named(place),
    { type: pkcs11js.CKA_PRIVATE, value: true },
    { type: pkcs11js.CKA_SENSITIVE, value: true },
    { type: pkcs11js.CKA_EXTRACTABLE, value: false },
    { type: pkcs11js.CKA_ENCRYPT, value: true },
    { type: pkcs11js.CKA_DECRYPT, value: true },
    { type: pkcs11js.CKA_WRAP, value: false },
    { type: pkcs11js.CKA_UNWRAP, value: false },
    { type: pkcs11js.CKA_SIGN, value: false },
    { type: pkcs11js.CKA_VERIFY, value: false }
  ]
}

/** Public and private half of a key pair that only signs. */
export function signingTemplates(algorithm: Exclude<KeyAlgorithm, 'AES-256'> | 'RSA-2048', place: KeyPlace) {
  const shape: Template =
    algorithm === 'RSA-3072' || algorithm === 'RSA-2048'
      ? [
          { type: pkcs11js.CKA_MODULUS_BITS, value: rsaModulusBits[algorithm] },
          { type: pkcs11js.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) }
        ]
      : [{ type: pkcs11js.CKA_EC_PARAMS, value: curves[algorithm] }]
  const keyType = algorithm.startsWith('RSA') ? pkcs11js.CKK_RSA : pkcs11js.CKK_EC
  const publicKey: Template = [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PUBLIC_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: keyType },
    ...named(place),
    { type: pkcs11js.CKA_PRIVATE, value: false },
    { type: pkcs11js.CKA_VERIFY, value: true },
    ...shape
  ]
  const privateKey: Template = [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: keyType },
    ...named(place),
    { type: pkcs11js.CKA_PRIVATE, value: true },
    { type: pkcs11js.CKA_SENSITIVE, value: true },
    { type: pkcs11js.CKA_EXTRACTABLE, value: false },
    { type: pkcs11js.CKA_SIGN, value: true },
    { type: pkcs11js.CKA_DECRYPT, value: false },
    { type: pkcs11js.CKA_UNWRAP, value: false }
  ]
  return { publicKey, privateKey }
}

/** Which curve DER names; null for one that we do not use. */
export function curveOf(params: Buffer): 'EC-P256' | 'EC-P384' | null {
  if (params.equals(curves['EC-P256'])) return 'EC-P256'
  return params.equals(curves['EC-P384']) ? 'EC-P384' : null
}
