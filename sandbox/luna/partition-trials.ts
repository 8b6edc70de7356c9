/** What the partition's user tries where a mood changes the answer. For the child of partition-user.ts only. */
import pkcs11 from 'pkcs11js'

export interface Place {
  readonly module: pkcs11.PKCS11
  readonly slot: Buffer
  readonly session: Buffer
}

const p256 = Buffer.from('06082a8648ce3d030107', 'hex') // DER of the OID 1.2.840.10045.3.1.7
const text = Buffer.from('what was sealed')
const aad = Buffer.from('row 7')
const number = (slot: Buffer): number => slot.readUInt32LE()

/** Slot, label, serial and model of every slot that is listed with a token. */
export function tokens({ module }: Place): unknown {
  return module.C_GetSlotList(true).map((slot) => {
    const { label, serialNumber, model } = module.C_GetTokenInfo(slot)
    return [number(slot), label.trim(), serialNumber.trim(), model.trim()]
  })
}

function newAes({ module, session }: Place): Buffer {
  return module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
    { type: pkcs11.CKA_VALUE_LEN, value: 32 },
    { type: pkcs11.CKA_ENCRYPT, value: true },
    { type: pkcs11.CKA_DECRYPT, value: true },
    { type: pkcs11.CKA_WRAP, value: true },
    { type: pkcs11.CKA_UNWRAP, value: true },
    { type: pkcs11.CKA_EXTRACTABLE, value: true }
  ])
}

function gcm(iv: Buffer): pkcs11.Mechanism {
  const parameter = { type: pkcs11.CK_PARAMS_GCM, iv, ivBits: iv.length * 8, aad, tagBits: 128 }
  return { mechanism: pkcs11.CKM_AES_GCM, parameter }
}

/**
 * Seals with an IV of `ivBytes` and opens again: what is behind the text and its tag, how many bytes, and what came back.
 * @param opening `data`: with an empty IV, everything as data; `parameter`: the IV as parameter, the rest as data
 */
export function seal(place: Place, ivBytes: number, opening: 'data' | 'parameter'): unknown {
  const { module, session } = place
  const key = newAes(place)
  const iv = Buffer.alloc(ivBytes, 1)
  module.C_EncryptInit(session, gcm(iv), key)
  const sealed = module.C_Encrypt(session, text, Buffer.alloc(text.length + 64))
  const end = sealed.length - (ivBytes === 0 ? 16 : 0)
  const [given, data] =
    opening === 'data'
      ? [iv, sealed]
      : [ivBytes === 0 ? Buffer.from(sealed.subarray(end)) : iv, Buffer.from(sealed.subarray(0, end))]
  module.C_DecryptInit(session, gcm(given), key)
  const opened = module.C_Decrypt(session, data, Buffer.alloc(data.length))
  return { bytesBehindTag: sealed.length - text.length - 16, opened: opened.toString() }
}

/** Wraps a secret or a private key; the length of what comes out. */
export function wrap(place: Place, mechanism: number, what: 'secret' | 'private'): unknown {
  const { module, session } = place
  const wrapping = newAes(place)
  const key = what === 'secret' ? newAes(place) : newPair(place, p256).privateKey
  return module.C_WrapKey(session, { mechanism }, wrapping, key, Buffer.alloc(512)).length
}

function newPair({ module, session }: Place, curve: Buffer): pkcs11.KeyPair {
  return module.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    [{ type: pkcs11.CKA_EC_PARAMS, value: curve }],
    [
      { type: pkcs11.CKA_SIGN, value: true },
      { type: pkcs11.CKA_EXTRACTABLE, value: true }
    ]
  )
}

/** An RSA key pair by this mechanism. */
export function rsaPair({ module, session }: Place, mechanism: number): unknown {
  module.C_GenerateKeyPair(
    session,
    { mechanism },
    [
      { type: pkcs11.CKA_MODULUS_BITS, value: 1024 },
      { type: pkcs11.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) }
    ],
    [{ type: pkcs11.CKA_SIGN, value: true }]
  )
  return 'made'
}

/** Opens sessions until one is refused, and closes them: how many, and with which limit told. */
export function sessionsUntilRefused({ module, slot }: Place): unknown {
  const opened: Buffer[] = []
  try {
    for (let most = 0; most < 100; most++) opened.push(module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION))
  } catch (error) {
    if (!(error instanceof pkcs11.Pkcs11Error)) throw error
    return { opened: opened.length, ckr: error.code, told: module.C_GetTokenInfo(slot).maxSessionCount }
  } finally {
    for (const session of opened) module.C_CloseSession(session)
  }
  return { opened: opened.length }
}
