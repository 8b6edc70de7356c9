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
import { type KeyWrap, type KeyWrapName, keyWrapNumbers, tryKeyWrap } from './key-wrap.ts'
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
  /** Numbers of the mechanisms that the token offers. */
  readonly offered: ReadonlySet<number>
  /** Told before each trip, so that a hang is named. */
  readonly onTrip: (name: RoundTripName) => void
  readonly onDone: (trip: RoundTrip) => void
}

export interface RoundTripAnswers {
  readonly ivMode: IvMode | null
  readonly keyWraps: readonly KeyWrap[]
}

/** By which a token says that this login may not use it: no other trip is tried then. */
const notThisRole: ReadonlySet<number> = new Set([0xa3, 0x8000001a])

/** Runs all trips and answers how the token does it; stops at the first that says that the login is good for nothing. */
export function runRoundTrips(tools: RoundTripTools): RoundTripAnswers {
  let ivMode: IvMode | null = null
  const keyWraps: KeyWrap[] = []
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
    ...wrapTrips(tools, keyWraps),
    ['random', () => randomDiffers(tools.open())],
    ['sensitive', () => refusesToBeRead(tools.open())]
  ]
  for (const [name, run] of trips) {
    tools.onTrip(name)
    const trip = tryOut(name, run)
    tools.onDone(trip)
    if (notThisRole.has(trip.failure?.code ?? 0)) break
  }
  return { ivMode, keyWraps }
}

/** One trip for each kind of wrapping that the token offers; the first number whose answer is right is the one. */
function wrapTrips(tools: RoundTripTools, found: KeyWrap[]): (readonly [KeyWrapName, () => boolean])[] {
  const names = Object.keys(keyWrapNumbers) as KeyWrapName[]
  return names.flatMap((name) => {
    const numbers = keyWrapNumbers[name].filter((number) => tools.offered.has(number))
    if (numbers.length === 0) return []
    const trip = () => {
      const wrap = firstThatWorks(numbers, (number) => tryKeyWrap(tools.open(), name, number))
      if (wrap !== null) found.push(wrap)
      return wrap !== null
    }
    return [[name, trip] as const]
  })
}

/** @throws what the last number answered when none worked and it was refused */
function firstThatWorks<T>(numbers: readonly number[], attemptWith: (number: number) => T | null): T | null {
  let refused: unknown
  for (const number of numbers) {
    refused = undefined
    try {
      const answer = attemptWith(number)
      if (answer !== null) return answer
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error
      refused = error
    }
  }
  if (refused !== undefined) throw refused
  return null
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
