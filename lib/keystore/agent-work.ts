/**
 * Carries out the agent's calls, one after the other, with synchronous PKCS#11: pkcs11js's asynchronous calls are unsafe and
 * slower (pkcs11.md section 0). One worker for now; more of them would each hold a `TokenWork` with a session of its own.
 */
import type pkcs11js from 'pkcs11js'
import { AgentRefusal, problemOf } from './agent-problem.ts'
import type { AgentAnswer, AgentCall, AgentOperations } from './agent-protocol.ts'
import { gcmDecrypt, gcmEncrypt, type IvMode, refusesCallerIv } from './gcm.ts'
import { checkValue, type OpenSession, signRaw } from './key-operations.ts'
import { attempt, CallRefused, openSession } from './module.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import { type KeyInToken, TokenKeys } from './token-keys.ts'

/** The handle is gone, the key perhaps not: look it up again, once. */
const staleHandle: ReadonlySet<number> = new Set([0x60, 0x82])

export class TokenWork {
  readonly keys: TokenKeys
  readonly #anchor: OpenSession
  readonly #slot: pkcs11js.Handle
  #session: OpenSession
  /** Learnt at the first encryption. */
  #ivMode: IvMode = 'caller-iv'

  /** @param anchor holds the login and is never used for operations that can be left half done */
  constructor(anchor: OpenSession, slot: pkcs11js.Handle, choices: MechanismChoices) {
    this.#anchor = anchor
    this.#slot = slot
    this.keys = new TokenKeys(anchor, choices)
    this.#session = { library: anchor.library, session: openSession(anchor.library, slot) }
  }

  async answer(call: AgentCall): Promise<AgentAnswer> {
    try {
      return { call: call.call, ok: true, value: await this.#run(call) }
    } catch (thrown) {
      const problem = problemOf(call.op, thrown)
      if (problem.failure !== null && !problem.fatal) this.#replaceSession()
      return { call: call.call, ok: false, problem }
    }
  }

  async #run(call: AgentCall): Promise<AgentOperations[typeof call.op]['answer']> {
    switch (call.op) {
      case 'create':
        return await this.keys.create(call.ask)
      case 'find':
        return (await this.keys.find(call.ask.id))?.ref ?? null
      case 'publicKey':
        return await this.#publicKey(call.ask.id)
      case 'checkValue':
        return await this.#withKey(call.ask.id, (key) => {
          if (key.ref.algorithm !== 'AES-256') {
            throw new AgentRefusal('invalid-input', `The key ${call.ask.id} has no check value.`, '')
          }
          return checkValue(this.#session, key.use)
        })
      case 'sign': {
        const { id, algorithm, input } = call.ask
        return await this.#withKey(id, (key) => {
          if (key.ref.algorithm !== algorithm) {
            throw new AgentRefusal('invalid-input', `The key ${id} is ${key.ref.algorithm}, not ${algorithm}.`, '')
          }
          return signRaw(this.#session, algorithm, key.use, Buffer.from(input))
        })
      }
      case 'random':
        return this.#random(call.ask.bytes)
      case 'destroy':
        return this.keys.destroy(call.ask.id)
      case 'ping':
        return this.#ping()
      case 'encrypt': {
        const { id, plaintext, aad } = call.ask
        return await this.#withKey(id, (key) => this.#encrypt(key, Buffer.from(plaintext), Buffer.from(aad)))
      }
      case 'decrypt': {
        const { id, sealed, aad } = call.ask
        const bytes = { mode: sealed.mode, iv: Buffer.from(sealed.iv), data: Buffer.from(sealed.data) }
        return await this.#withKey(id, (key) => gcmDecrypt({ ...this.#session, key: key.use }, bytes, Buffer.from(aad)))
      }
    }
  }

  /** Every operation here may be repeated: nothing is created or destroyed by it. */
  async #withKey<T>(id: string, use: (key: KeyInToken) => T): Promise<T> {
    const key = await this.keys.get(id)
    try {
      return use(key)
    } catch (error) {
      if (!(error instanceof CallRefused) || !staleHandle.has(error.failure.code ?? -1)) throw error
      this.keys.forget(id)
      this.#replaceSession()
      return use(await this.keys.get(id))
    }
  }

  #encrypt(key: KeyInToken, plaintext: Buffer, aad: Buffer) {
    const where = () => ({ ...this.#session, key: key.use })
    try {
      return gcmEncrypt(where(), this.#ivMode, plaintext, aad)
    } catch (error) {
      if (this.#ivMode === 'token-iv' || !refusesCallerIv(error)) throw error
      this.#ivMode = 'token-iv'
      this.#replaceSession()
      return gcmEncrypt(where(), this.#ivMode, plaintext, aad)
    }
  }

  async #publicKey(id: string) {
    const { jwk } = await this.keys.get(id)
    if (jwk === null) throw new AgentRefusal('invalid-input', `The key ${id} has no public half.`, '')
    return jwk
  }

  #random(bytes: number): Buffer {
    const { library, session } = this.#session
    return Buffer.from(attempt('C_GenerateRandom', () => library.C_GenerateRandom(session, Buffer.alloc(bytes))))
  }

  #ping(): null {
    const { library, session } = this.#anchor
    attempt('C_GetSessionInfo', () => library.C_GetSessionInfo(session))
    return null
  }

  /** An error after an *Init leaves the operation active, and version 2.40 has no way to cancel it. */
  #replaceSession(): void {
    const { library, session } = this.#session
    try {
      library.C_CloseSession(session)
    } catch {
      // It is being thrown away.
    }
    try {
      this.#session = { library, session: openSession(library, this.#slot) }
    } catch {
      // The next call says what is wrong with the token.
    }
  }
}
