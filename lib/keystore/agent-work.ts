/**
 * Carries out jobs in one session with synchronous PKCS#11: pkcs11js's asynchronous calls are unsafe, and capped by libuv's pool
 * (pkcs11.md section 0). One of these in each thread, so a slow token works for as many callers as there are sessions.
 */
import type { KeyObject } from 'node:crypto'
import type pkcs11js from 'pkcs11js'
import type { SealedBytes } from './agent-protocol.ts'
import type { NumberedKey, SessionJobs } from './agent-thread-protocol.ts'
import { gcmDecrypt, gcmEncrypt, type IvMode, refusesCallerIv } from './gcm.ts'
import {
  checkValue,
  generateAes,
  generateSigningPair,
  mostSignature,
  type OpenSession,
  signInto
} from './key-operations.ts'
import { attempt, openUserSession } from './module.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import { publicKeyObject } from './public-key.ts'
import { signInput, verifiedSignature } from './signature.ts'
import { unpooled } from './unpooled.ts'

/** The key was looked up again after the job was given out. */
export class KeyForgotten extends Error {}

interface KnownKey extends NumberedKey {
  readonly use: pkcs11js.Handle
  readonly publicKey: KeyObject | null
}

export type SessionJob = {
  [Op in keyof SessionJobs]: { readonly op: Op; readonly ask: SessionJobs[Op]['ask'] }
}[keyof SessionJobs]

export class SessionWork {
  readonly #library: pkcs11js.PKCS11
  readonly #slot: pkcs11js.Handle
  readonly #choices: MechanismChoices
  readonly #keys = new Map<number, KnownKey>()
  /** Null after one was thrown away and no other could be opened. */
  #session: pkcs11js.Handle | null
  /** Learnt at the first encryption. */
  #ivMode: IvMode = 'caller-iv'

  constructor(library: pkcs11js.PKCS11, slot: pkcs11js.Handle, session: pkcs11js.Handle, choices: MechanismChoices) {
    this.#library = library
    this.#slot = slot
    this.#session = session
    this.#choices = choices
  }

  learn(key: NumberedKey): void {
    const publicKey = key.jwk === null ? null : publicKeyObject(key.jwk)
    this.#keys.set(key.number, { ...key, use: Buffer.from(key.handle), publicKey })
  }

  knows(key: number): boolean {
    return this.#keys.has(key)
  }

  /** False after one was thrown away and no other could be opened. */
  get hasSession(): boolean {
    return this.#session !== null
  }

  forget(key: number): void {
    this.#keys.delete(key)
  }

  run({ op, ask }: SessionJob): SessionJobs[SessionJob['op']]['answer'] {
    switch (op) {
      case 'generate':
        return this.#generate(ask)
      case 'checkValue':
        return checkValue(this.#where(), this.#key(ask.key).use)
      case 'sign':
        return this.#sign(ask)
      case 'random': {
        const { library, session } = this.#where()
        return unpooled(attempt('C_GenerateRandom', () => library.C_GenerateRandom(session, Buffer.alloc(ask.bytes))))
      }
      case 'encrypt':
        return this.#encrypt(this.#key(ask.key), Buffer.from(ask.plaintext), Buffer.from(ask.aad))
      case 'decrypt': {
        const { mode, iv, data } = ask.sealed
        const where = { ...this.#where(), key: this.#key(ask.key).use }
        return unpooled(gcmDecrypt(where, { mode, iv: Buffer.from(iv), data: Buffer.from(data) }, Buffer.from(ask.aad)))
      }
    }
  }

  /** The token's part of a signature: whoever asks for this verifies. @returns how much of `room` it takes */
  signInto(key: number, input: Buffer, room: Buffer): number {
    const { ref, use } = this.#key(key)
    return signInto(this.#where(), ref.algorithm, use, input, room)
  }

  verified(key: number, data: Uint8Array, raw: Uint8Array): Uint8Array {
    const { ref, publicKey } = this.#key(key)
    if (publicKey === null) throw new Error('a job signs with a key that does not')
    return verifiedSignature(ref, publicKey, data, raw)
  }

  /** An error after an *Init leaves the operation active, and version 2.40 has no way to cancel it. */
  replaceSession(): void {
    const session = this.#session
    this.#session = null
    try {
      if (session !== null) this.#library.C_CloseSession(session)
    } catch {
      // It is being thrown away.
    }
    try {
      this.#session = openUserSession(this.#library, this.#slot)
    } catch {
      // The next job says what is wrong with the token.
    }
  }

  #where(): OpenSession {
    this.#session ??= openUserSession(this.#library, this.#slot)
    return { library: this.#library, session: this.#session }
  }

  #key(number: number): KnownKey {
    const key = this.#keys.get(number)
    if (key === undefined) throw new KeyForgotten()
    return key
  }

  #generate({ id, algorithm, label }: SessionJobs['generate']['ask']): null {
    const place = { token: true, id: Buffer.from(id, 'hex'), label }
    if (algorithm === 'AES-256') generateAes(this.#where(), place)
    else generateSigningPair(this.#where(), algorithm, place, this.#choices)
    return null
  }

  #sign({ key, data }: SessionJobs['sign']['ask']): Uint8Array {
    const { ref } = this.#key(key)
    const room = Buffer.alloc(mostSignature)
    const length = this.signInto(key, signInput(ref, data), room)
    return unpooled(this.verified(key, data, room.subarray(0, length)))
  }

  #encrypt(key: KnownKey, plaintext: Buffer, aad: Buffer): SealedBytes {
    const seal = (mode: IvMode): SealedBytes => {
      const sealed = gcmEncrypt({ ...this.#where(), key: key.use }, mode, plaintext, aad)
      return { mode, iv: unpooled(sealed.iv), data: unpooled(sealed.data) }
    }
    try {
      return seal(this.#ivMode)
    } catch (error) {
      if (this.#ivMode === 'token-iv' || !refusesCallerIv(error)) throw error
      this.#ivMode = 'token-iv'
      this.replaceSession()
      return seal(this.#ivMode)
    }
  }
}
