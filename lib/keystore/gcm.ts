/**
 * AES-GCM in the IV mode that the token takes. A Luna partition in FIPS mode refuses a caller's IV
 * (CKR_MECHANISM_PARAM_INVALID), makes a 16-byte one and appends it to ciphertext and tag (domain.md A4).
 * The parameter is always CK_PARAMS_GCM (CK_GCM_PARAMS with ulIvBits): the older form leaves ulIvBits unset and NSS refuses it.
 */
import { randomBytes } from 'node:crypto'
import pkcs11js from 'pkcs11js'
import { attempt, CallRefused } from './module.ts'

export type IvMode = 'caller-iv' | 'token-iv'

const tagBytes = 16
const callerIvBytes = 12
const tokenIvBytes = 16
const mechanismParamInvalid = 0x71

export interface GcmBytes {
  readonly mode: IvMode
  readonly iv: Buffer
  readonly data: Buffer
}

/** The calls of a library that GCM needs, in their synchronous form. */
interface GcmCalls {
  C_EncryptInit: (session: pkcs11js.Handle, mechanism: pkcs11js.Mechanism, key: pkcs11js.Handle) => void
  C_Encrypt: (session: pkcs11js.Handle, input: Buffer, output: Buffer) => Buffer
  C_DecryptInit: (session: pkcs11js.Handle, mechanism: pkcs11js.Mechanism, key: pkcs11js.Handle) => void
  C_Decrypt: (session: pkcs11js.Handle, input: Buffer, output: Buffer) => Buffer
}

/** A key in an open session. */
export interface KeyInSession {
  readonly library: GcmCalls
  readonly session: pkcs11js.Handle
  readonly key: pkcs11js.Handle
}

function mechanism(iv: Buffer, aad: Buffer): pkcs11js.Mechanism {
  const parameter = { type: pkcs11js.CK_PARAMS_GCM, iv, ivBits: iv.length * 8, aad, tagBits: tagBytes * 8 }
  return { mechanism: pkcs11js.CKM_AES_GCM, parameter }
}

/** @param plaintext 1 byte or more: empty input poisons the session of SoftHSM */
export function gcmEncrypt(where: KeyInSession, mode: IvMode, plaintext: Buffer, aad: Buffer): GcmBytes {
  const { library, session, key } = where
  const iv = mode === 'caller-iv' ? randomBytes(callerIvBytes) : Buffer.alloc(0)
  attempt('C_EncryptInit', () => library.C_EncryptInit(session, mechanism(iv, aad), key))
  const room = Buffer.alloc(plaintext.length + tagBytes + tokenIvBytes)
  const data = attempt('C_Encrypt', () => library.C_Encrypt(session, plaintext, room))
  return { mode, iv, data: Buffer.from(data) }
}

/** Takes what either mode made. @throws CallRefused when key, tag, AAD or data do not belong together */
export function gcmDecrypt(where: KeyInSession, sealed: GcmBytes, aad: Buffer): Buffer {
  if (sealed.mode === 'caller-iv') return open(where, sealed.iv, sealed.data, aad)
  const end = sealed.data.length - tokenIvBytes
  try {
    return open(where, sealed.data.subarray(end), sealed.data.subarray(0, end), aad)
  } catch (error) {
    // Firmware differs in whether it wants its IV as the parameter or takes it from the end of the data.
    if (!refusesCallerIv(error)) throw error
    return open(where, Buffer.alloc(0), sealed.data, aad)
  }
}

function open({ library, session, key }: KeyInSession, iv: Buffer, data: Buffer, aad: Buffer): Buffer {
  attempt('C_DecryptInit', () => library.C_DecryptInit(session, mechanism(iv, aad), key))
  return Buffer.from(attempt('C_Decrypt', () => library.C_Decrypt(session, data, Buffer.alloc(data.length + tagBytes))))
}

/** True when the token refused our IV because it makes its own. */
export function refusesCallerIv(error: unknown): boolean {
  return error instanceof CallRefused && error.failure.code === mechanismParamInvalid
}
