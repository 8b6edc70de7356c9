/**
 * AES key wrap (RFC 3394) and with padding (RFC 5649), in the number that the token offers: Luna has its own, and 0x210A is
 * RFC 5649 in SoftHSM but something else in NSS (pkcs11.md section 2). So the answer tells, not the number.
 * Only for the children, like module.ts.
 */
import pkcs11js from 'pkcs11js'
import { checkValue, type OpenSession } from './key-operations.ts'
import { mechanismName } from './mechanism-names.ts'
import { attempt, CallRefused } from './module.ts'

export type KeyWrapName = 'aes-kw' | 'aes-kwp'

/** How the token wraps. */
export interface KeyWrap {
  readonly name: KeyWrapName
  /** The mechanism's number and name. */
  readonly number: number
  readonly mechanism: string
  /** False: the token takes no key from outside (FIPS), so only wrapping and unwrapping were compared. */
  readonly knownAnswer: boolean
}

const lunaKw = 0x80000170
const lunaKwp = 0x80000171

/** Numbers in the order in which they are tried. */
export const keyWrapNumbers: Readonly<Record<KeyWrapName, readonly number[]>> = {
  'aes-kw': [0x2109, lunaKw],
  'aes-kwp': [0x210b, lunaKwp, 0x210a]
}

/** RFC 3394 section 4.6: 256 bits under a 256-bit key. */
const kek = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex')
const keyData = Buffer.from('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f', 'hex')
/** The same key and data in both: the RFC's own answer, and RFC 5649's algorithm (its examples are for 192 bits). */
const keyWrapAnswers: Readonly<Record<KeyWrapName, string>> = {
  'aes-kw': '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21',
  'aes-kwp': '4a8029243027353b0694cf1bd8fc745bb0ce8a739b19b1960b12426d4c39cfeda926d103ab34e9f6'
}
export const keyWrapExample = { kek, keyData }

/**
 * Wraps and unwraps a key of the session with one mechanism; null when the answer is not what the RFC says.
 * @throws CallRefused when the token refuses; the session is then good for nothing more
 */
export function tryKeyWrap(open: OpenSession, name: KeyWrapName, number: number): KeyWrap | null {
  const found = { name, number, mechanism: mechanismName(number) }
  const known = importedKeys(open)
  if (known === null) return comesBack(open, number, madeKeys(open)) ? { ...found, knownAnswer: false } : null
  const right = isRightAnswer(name, wrap(open, number, known)) && comesBack(open, number, known)
  return right ? { ...found, knownAnswer: true } : null
}

/** Whether these bytes are the known key under the other known key, wrapped as the RFC says. */
export function isRightAnswer(name: KeyWrapName, bytes: Buffer): boolean {
  return bytes.toString('hex') === keyWrapAnswers[name]
}

interface WrapKeys {
  readonly wrapping: pkcs11js.Handle
  readonly wrapped: pkcs11js.Handle
}

/** Null when the token takes no key in the clear: a Luna partition in FIPS mode. */
function importedKeys(open: OpenSession): WrapKeys | null {
  const create = (value: Buffer, uses: pkcs11js.Template) =>
    attempt('C_CreateObject', () =>
      open.library.C_CreateObject(open.session, [...aes, ...uses, { type: pkcs11js.CKA_VALUE, value }])
    )
  try {
    return { wrapping: create(kek, wraps), wrapped: create(keyData, leaves) }
  } catch (error) {
    if (error instanceof CallRefused) return null
    throw error
  }
}

function madeKeys(open: OpenSession): WrapKeys {
  const make = (uses: pkcs11js.Template) =>
    attempt('C_GenerateKey', () =>
      open.library.C_GenerateKey(open.session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [...aes, ...length, ...uses])
    )
  return { wrapping: make(wraps), wrapped: make(leaves) }
}

function wrap({ library, session }: OpenSession, mechanism: number, { wrapping, wrapped }: WrapKeys): Buffer {
  const room = Buffer.alloc(128)
  return Buffer.from(attempt('C_WrapKey', () => library.C_WrapKey(session, { mechanism }, wrapping, wrapped, room)))
}

/** What is unwrapped is the key that was wrapped, and the wrapping has the RFCs' length for 32 bytes. */
function comesBack(open: OpenSession, mechanism: number, keys: WrapKeys): boolean {
  const bytes = wrap(open, mechanism, keys)
  const back = unwrap(open, mechanism, keys.wrapping, bytes)
  return bytes.length === 40 && checkValue(open, back) === checkValue(open, keys.wrapped)
}

/** The standard forbids the length in the template; Luna asks for it before firmware 7.9.3 (domain.md A4). */
function unwrap({ library, session }: OpenSession, mechanism: number, wrapping: pkcs11js.Handle, bytes: Buffer) {
  const into = (template: pkcs11js.Template) =>
    attempt('C_UnwrapKey', () => library.C_UnwrapKey(session, { mechanism }, wrapping, bytes, template))
  try {
    return into([...aes, ...leaves])
  } catch (error) {
    if (!(error instanceof CallRefused)) throw error
    return into([...aes, ...length, ...leaves])
  }
}

const aes: pkcs11js.Template = [
  { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
  { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
  { type: pkcs11js.CKA_TOKEN, value: false },
  { type: pkcs11js.CKA_PRIVATE, value: true },
  { type: pkcs11js.CKA_SENSITIVE, value: true }
]
const length: pkcs11js.Template = [{ type: pkcs11js.CKA_VALUE_LEN, value: 32 }]
const wraps: pkcs11js.Template = [
  { type: pkcs11js.CKA_EXTRACTABLE, value: false },
  { type: pkcs11js.CKA_WRAP, value: true },
  { type: pkcs11js.CKA_UNWRAP, value: true }
]
/** A key made for this trial only: it may be wrapped out, and encrypts its own check value. */
const leaves: pkcs11js.Template = [
  { type: pkcs11js.CKA_EXTRACTABLE, value: true },
  { type: pkcs11js.CKA_ENCRYPT, value: true }
]
