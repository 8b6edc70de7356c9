/** Making keys and signing in an open session. Only for the children, like module.ts. */
import pkcs11js from 'pkcs11js'
import { callFailure } from './ckr-error.ts'
import { aesTemplate, curveOf, type KeyPlace, signingTemplates } from './key-templates.ts'
import type { KeyAlgorithm } from './keystore.ts'
import { attempt, CallRefused } from './module.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import { ecJwk, type PublicJwk, rsaJwk } from './public-key.ts'

export interface OpenSession {
  readonly library: pkcs11js.PKCS11
  readonly session: pkcs11js.Handle
}

const mechanismInvalid = 0x70
const attributeTypeInvalid = 0x12
const ckaCheckValue = 0x90
const checkValueBytes = 3

export function generateAes({ library, session }: OpenSession, place: KeyPlace): pkcs11js.Handle {
  const mechanism = { mechanism: pkcs11js.CKM_AES_KEY_GEN }
  return attempt('C_GenerateKey', () => library.C_GenerateKey(session, mechanism, aesTemplate(place)))
}

/** RSA tries the mechanisms of the profile in order: a FIPS partition lacks the plain one. */
export function generateSigningPair(
  { library, session }: OpenSession,
  algorithm: Exclude<KeyAlgorithm, 'AES-256'> | 'RSA-2048',
  place: KeyPlace,
  choices: MechanismChoices
): pkcs11js.KeyPair {
  const { publicKey, privateKey } = signingTemplates(algorithm, place)
  const candidates = algorithm.startsWith('RSA') ? choices.rsaKeyPairGen : [pkcs11js.CKM_EC_KEY_PAIR_GEN]
  let refused: unknown
  for (const mechanism of candidates) {
    try {
      return attempt('C_GenerateKeyPair', () =>
        library.C_GenerateKeyPair(session, { mechanism }, publicKey, privateKey)
      )
    } catch (error) {
      if (!(error instanceof CallRefused) || error.failure.code !== mechanismInvalid) throw error
      refused = error
    }
  }
  throw refused
}

/** The longest signature that we know of. */
export const mostSignature = 512
const withEc: pkcs11js.Mechanism = { mechanism: pkcs11js.CKM_ECDSA }
const withRsa: pkcs11js.Mechanism = { mechanism: pkcs11js.CKM_RSA_PKCS }

/** @param input what the mechanism takes: a digest for EC, a DigestInfo for RSA; answers r||s or the RSA signature */
export function signRaw(open: OpenSession, algorithm: string, key: pkcs11js.Handle, input: Buffer): Buffer {
  const room = Buffer.alloc(mostSignature)
  return room.subarray(0, signInto(open, algorithm, key, input, room))
}

/** The same into `room`, of at least `mostSignature` bytes. @returns the length */
export function signInto(
  { library, session }: OpenSession,
  algorithm: string,
  key: pkcs11js.Handle,
  input: Buffer,
  room: Buffer
): number {
  // Written out, without attempt: thirty threads that call this now and then run it uncompiled, and feel each step.
  let call = 'C_SignInit'
  try {
    library.C_SignInit(session, algorithm.startsWith('RSA') ? withRsa : withEc, key)
    call = 'C_Sign'
    return library.C_Sign(session, input, room).length
  } catch (error) {
    throw new CallRefused(callFailure(call, error))
  }
}

/** Of an AES key, 6 hexadecimal digits. NSS keeps no CKA_CHECK_VALUE, so its definition is carried out (PKCS#11 v2.40, 4.10.2). */
export function checkValue(open: OpenSession, key: pkcs11js.Handle): string {
  const kept = keptCheckValue(open, key)
  if (kept !== null) return kept.toString('hex')
  const { library, session } = open
  attempt('C_EncryptInit', () => library.C_EncryptInit(session, { mechanism: pkcs11js.CKM_AES_ECB }, key))
  const block = attempt('C_Encrypt', () => library.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16)))
  return block.subarray(0, checkValueBytes).toString('hex')
}

function keptCheckValue(open: OpenSession, key: pkcs11js.Handle): Buffer | null {
  try {
    const value = readBytes(open, key, ckaCheckValue)
    return value.length === checkValueBytes ? value : null
  } catch (error) {
    if (error instanceof CallRefused && error.failure.code === attributeTypeInvalid) return null
    throw error
  }
}

/** Reads a public key object. @throws CallRefused, or Error for a key of a kind that we do not use */
export function readPublicKey(open: OpenSession, key: pkcs11js.Handle): { algorithm: KeyAlgorithm; jwk: PublicJwk } {
  const keyType = readBytes(open, key, pkcs11js.CKA_KEY_TYPE).readUInt32LE()
  if (keyType === pkcs11js.CKK_RSA) {
    const modulus = readBytes(open, key, pkcs11js.CKA_MODULUS)
    return { algorithm: 'RSA-3072', jwk: rsaJwk(modulus, readBytes(open, key, pkcs11js.CKA_PUBLIC_EXPONENT)) }
  }
  const algorithm = curveOf(readBytes(open, key, pkcs11js.CKA_EC_PARAMS))
  if (algorithm === null) throw new Error('the public key is on a curve that is not used here')
  return { algorithm, jwk: ecJwk(algorithm, readBytes(open, key, pkcs11js.CKA_EC_POINT)) }
}

/** One attribute, copied. */
export function readBytes({ library, session }: OpenSession, object: pkcs11js.Handle, type: number): Buffer {
  const [attribute] = attempt('C_GetAttributeValue', () => library.C_GetAttributeValue(session, object, [{ type }]))
  return Buffer.from(attribute?.value ?? [])
}
