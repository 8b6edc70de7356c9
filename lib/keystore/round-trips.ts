/**
 * What a token must be able to do, tried with session objects only: nothing stays behind. The login alone proves
 * little: an expired password shows at the first operation after it (CKR_PIN_EXPIRED, pkcs11.md section 4).
 */
import { createHash, verify } from 'node:crypto'
import pkcs11js from 'pkcs11js'
import { callFailure } from './ckr-error.ts'
import { gcmDecrypt, gcmEncrypt, type IvMode, refusesCallerIv } from './gcm.ts'
import {
  generateAes,
  generateSigningPair,
  type OpenSession,
  readBytes,
  readPublicKey,
  signRaw
} from './key-operations.ts'
import { attempt, CallRefused } from './module.ts'
import type { RoundTrip, RoundTripName } from './probe-messages.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import { ecdsaDer, publicKeyObject, sha256DigestInfo } from './public-key.ts'

const canary = Buffer.from('keyscaler round trip')
const session = { token: false } as const

export interface RoundTripTools {
  /** A fresh session for each trip: one error after an *Init poisons a session. */
  readonly open: () => OpenSession
  readonly choices: MechanismChoices
  /** Told before each trip, so that a hang is named. */
  readonly onTrip: (name: RoundTripName) => void
  readonly onDone: (trip: RoundTrip) => void
}

/** Runs all trips and answers the IV mode found; stops at the first that says the PIN is not accepted (expired). */
export function runRoundTrips(tools: RoundTripTools): IvMode | null {
  let ivMode: IvMode | null = null
  const trips: readonly (readonly [RoundTripName, () => boolean])[] = [
    [
      'aes-gcm',
      () => {
        ivMode = aesRoundTrip(tools.open())
        return ivMode !== null
      }
    ],
    ['ec-p256', () => signRoundTrip(tools, 'EC-P256')],
    ['rsa-2048', () => signRoundTrip(tools, 'RSA-2048')],
    ['random', () => randomDiffers(tools.open())],
    ['sensitive', () => refusesToBeRead(tools.open())]
  ]
  for (const [name, run] of trips) {
    tools.onTrip(name)
    const trip = tryOut(name, run)
    tools.onDone(trip)
    if (trip.failure?.code === 0xa3) break
  }
  return ivMode
}

function tryOut(name: RoundTripName, run: () => boolean): RoundTrip {
  try {
    return { name, ok: run(), failure: null }
  } catch (error) {
    return { name, ok: false, failure: error instanceof CallRefused ? error.failure : callFailure(name, error) }
  }
}

/** Encrypts and decrypts; answers the mode in which it came back, null when it came back changed. */
function aesRoundTrip(open: OpenSession): IvMode | null {
  const where = { ...open, key: generateAes(open, session) }
  const aad = Buffer.from('aad')
  const sealed = attemptEither(
    () => gcmEncrypt(where, 'caller-iv', canary, aad),
    () => gcmEncrypt(where, 'token-iv', canary, aad)
  )
  return gcmDecrypt(where, sealed, aad).equals(canary) && !sealed.data.includes(canary) ? sealed.mode : null
}

function attemptEither<T>(callerIv: () => T, tokenIv: () => T): T {
  try {
    return callerIv()
  } catch (error) {
    if (!refusesCallerIv(error)) throw error
    return tokenIv()
  }
}

/** Signs in the token, verifies here with the public key that the token names. */
function signRoundTrip(tools: RoundTripTools, algorithm: 'EC-P256' | 'RSA-2048'): boolean {
  const open = tools.open()
  const pair = generateSigningPair(open, algorithm, session, tools.choices)
  const digest = createHash('sha256').update(canary).digest()
  const input = algorithm === 'RSA-2048' ? sha256DigestInfo(digest) : digest
  const raw = signRaw(open, algorithm, pair.privateKey, input)
  const signature = algorithm === 'RSA-2048' ? raw : ecdsaDer(raw)
  return verify('sha256', canary, publicKeyObject(readPublicKey(open, pair.publicKey).jwk), signature)
}

function randomDiffers({ library, session }: OpenSession): boolean {
  const draw = () => Buffer.from(attempt('C_GenerateRandom', () => library.C_GenerateRandom(session, Buffer.alloc(32))))
  const first = draw()
  return !first.equals(draw()) && !first.equals(Buffer.alloc(32))
}

/** A sensitive key that hands out its value would be no key store: success of the read is the failure. */
function refusesToBeRead(open: OpenSession): boolean {
  const key = generateAes(open, session)
  try {
    return readBytes(open, key, pkcs11js.CKA_VALUE).length === 0
  } catch (error) {
    if (error instanceof CallRefused && error.failure.code === 0x11) return true
    throw error
  }
}
