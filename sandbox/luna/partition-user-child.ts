/** The child side of partition-user.ts; started again as a worker thread by its own action `threads`. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import pkcs11 from 'pkcs11js'
import { rsaPair, seal, sessionsUntilRefused, tokens, wrap } from './partition-trials.ts'

export type Action =
  | { readonly do: 'start' | 'finish' | 'slots' | 'tokenInfo' | 'mechanisms' | 'logout' | 'find' | 'roundTrip' }
  | { readonly do: 'initialize' | 'open' | 'tokens' | 'mechanismNumbers' | 'sessionsUntilRefused' }
  | { readonly do: 'seal'; readonly ivBytes: number; readonly opening: 'data' | 'parameter' }
  | { readonly do: 'wrap'; readonly mechanism: number; readonly what: 'secret' | 'private' }
  | { readonly do: 'rsaPair'; readonly mechanism: number }
  | { readonly do: 'login'; readonly pin: string; readonly as?: number }
  | { readonly do: 'setPin'; readonly old: string; readonly pin: string }
  | { readonly do: 'initPin'; readonly pin: string }
  | { readonly do: 'otherSlot'; readonly slot: number }
  | { readonly do: 'threads'; readonly count: number; readonly rounds: number }
  /** Wrong (where it is given), right, logout, for ever; the answer comes after the first round. */
  | { readonly do: 'loginForEver'; readonly pin: string; readonly wrong?: string }

export type Answer = { readonly value: unknown } | { readonly ckr: number }

const module = new pkcs11.PKCS11()
const p256 = Buffer.from('06082a8648ce3d030107', 'hex') // DER of the OID 1.2.840.10045.3.1.7
let slot: Buffer = Buffer.alloc(8)
let session: Buffer = Buffer.alloc(8)

function slotId(number: number): Buffer {
  const id = Buffer.alloc(8)
  id.writeUInt32LE(number)
  return id
}

/** pkcs11js throws a code in most calls, and "CKR_NAME:code" as text in some. */
function codeOf(error: unknown): number {
  if (error instanceof pkcs11.Pkcs11Error) return error.code
  const text = error instanceof Error ? error.message : ''
  const found = /CKR_\w+:(\d+)/.exec(text)
  if (found === null) throw error
  return Number(found[1])
}

function attempt(call: () => unknown): Answer {
  try {
    return { value: call() ?? null }
  } catch (error) {
    return { ckr: codeOf(error) }
  }
}

function initialize(): void {
  if (module.libPath === undefined || module.libPath === '') module.load(process.env.LUNA_MODULE ?? '')
  module.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK })
}

function open(): void {
  const first = module.C_GetSlotList(true)[0]
  if (first === undefined) throw new Error('no slot')
  slot = first
  session = module.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
}

/** A signature that its own public key accepts, with session objects only. */
function signOnce(): boolean {
  const keys = module.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    [{ type: pkcs11.CKA_EC_PARAMS, value: p256 }],
    [
      { type: pkcs11.CKA_SIGN, value: true },
      { type: pkcs11.CKA_SENSITIVE, value: true }
    ]
  )
  const digest = Buffer.alloc(32, 7)
  module.C_SignInit(session, { mechanism: pkcs11.CKM_ECDSA }, keys.privateKey)
  const signature = module.C_Sign(session, digest, Buffer.alloc(64))
  module.C_VerifyInit(session, { mechanism: pkcs11.CKM_ECDSA }, keys.publicKey)
  const valid = module.C_Verify(session, digest, signature)
  module.C_DestroyObject(session, keys.privateKey)
  module.C_DestroyObject(session, keys.publicKey)
  return valid
}

/** AES-GCM there and back; returns what came back. */
function encryptOnce(text: string): string {
  const key = module.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, [
    { type: pkcs11.CKA_VALUE_LEN, value: 32 },
    { type: pkcs11.CKA_ENCRYPT, value: true },
    { type: pkcs11.CKA_DECRYPT, value: true }
  ])
  const parameter = {
    type: pkcs11.CK_PARAMS_GCM,
    iv: Buffer.alloc(12, 1),
    ivBits: 96,
    aad: Buffer.alloc(4),
    tagBits: 128
  }
  const mechanism = { mechanism: pkcs11.CKM_AES_GCM, parameter }
  module.C_EncryptInit(session, mechanism, key)
  const sealed = module.C_Encrypt(session, Buffer.from(text), Buffer.alloc(text.length + 16))
  module.C_DecryptInit(session, mechanism, key)
  const opened = module.C_Decrypt(session, sealed, Buffer.alloc(text.length + 16))
  module.C_DestroyObject(session, key)
  return opened.toString()
}

async function inThreads(count: number, rounds: number): Promise<number> {
  const workers = Array.from({ length: count }, () => new Worker(new URL(import.meta.url), { workerData: { rounds } }))
  const valid = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number))
  return valid.reduce((sum, each) => sum + each, 0)
}

function perform(action: Action): unknown {
  switch (action.do) {
    case 'start':
      initialize()
      return open()
    case 'initialize':
      return initialize()
    case 'finish':
      return module.C_Finalize()
    case 'slots':
      return [true, false].map((present) => module.C_GetSlotList(present).map((id) => id.readUInt32LE()))
    case 'tokenInfo':
      return module.C_GetTokenInfo(slot)
    case 'mechanisms':
      return module.C_GetMechanismList(slot).length
    case 'login':
      return module.C_Login(session, action.as ?? pkcs11.CKU_USER, action.pin)
    case 'logout':
      return module.C_Logout(session)
    case 'setPin':
      return module.C_SetPIN(session, action.old, action.pin)
    case 'initPin':
      return module.C_InitPIN(session, action.pin)
    case 'find':
      module.C_FindObjectsInit(session, [])
      return module.C_FindObjectsFinal(session)
    case 'roundTrip':
      return { valid: signOnce(), opened: encryptOnce('what was sealed') }
    case 'otherSlot': {
      const id = slotId(action.slot)
      return [
        attempt(() => module.C_GetSlotInfo(id)),
        attempt(() => module.C_GetTokenInfo(id)),
        attempt(() => module.C_GetMechanismList(id)),
        attempt(() => module.C_GetMechanismInfo(id, pkcs11.CKM_ECDSA)),
        attempt(() => module.C_InitToken(id, 'so-password', 'another'.padEnd(32))),
        attempt(() => module.C_OpenSession(id, pkcs11.CKF_SERIAL_SESSION)),
        attempt(() => module.C_CloseAllSessions(id))
      ]
    }
    case 'tokens':
      return tokens({ module, slot, session })
    case 'mechanismNumbers':
      return module.C_GetMechanismList(slot)
    case 'open':
      return open()
    case 'sessionsUntilRefused':
      return sessionsUntilRefused({ module, slot, session })
    case 'seal':
      return seal({ module, slot, session }, action.ivBytes, action.opening)
    case 'wrap':
      return wrap({ module, slot, session }, action.mechanism, action.what)
    case 'rsaPair':
      return rsaPair({ module, slot, session }, action.mechanism)
    case 'threads':
      return inThreads(action.count, action.rounds)
    case 'loginForEver': {
      for (let round = 0; ; round++) {
        const { wrong } = action
        if (wrong !== undefined) attempt(() => module.C_Login(session, pkcs11.CKU_USER, wrong))
        module.C_Login(session, pkcs11.CKU_USER, action.pin)
        module.C_Logout(session)
        if (round === 0) process.send?.({ value: null })
      }
    }
  }
}

if (isMainThread) {
  process.once('disconnect', () => process.exit(1))
  process.on('message', async (action: Action) => {
    const answer = attempt(() => perform(action))
    process.send?.('value' in answer ? { value: await answer.value } : answer)
  })
} else {
  module.load(process.env.LUNA_MODULE ?? '')
  attempt(() => module.C_Initialize({ flags: pkcs11.CKF_OS_LOCKING_OK })) // 401: another thread was first
  open()
  let valid = 0
  for (let round = 0; round < (workerData as { rounds: number }).rounds; round++) if (signOnce()) valid++
  parentPort?.postMessage(valid)
}
