/** The agent's calls as jobs for its threads: which key is meant, and what may be tried once more. */
import type { KeyObject } from 'node:crypto'
import { AgentRefusal, problemOf } from './agent-problem.ts'
import type { AgentAnswer, AgentCall, AgentOperations, AgentProblem } from './agent-protocol.ts'
import { JobRefused, type ThreadHandle } from './agent-thread-handle.ts'
import type { NumberedKey } from './agent-thread-protocol.ts'
import type { AgentThreads } from './agent-threads.ts'
import type { KeyRef, KeySpec } from './keystore.ts'
import { publicKeyObject } from './public-key.ts'
import { signInput, verifiedSignature } from './signature.ts'
import { unpooled } from './unpooled.ts'

interface CalledKey {
  readonly ref: KeyRef
  readonly number: number
  /** Null for AES. */
  readonly publicKey: KeyObject | null
  /** As it is told to threads. */
  readonly found: NumberedKey
}

const generalError = 0x05
const mostGeneralErrors = 3

interface Looked {
  readonly looked: Promise<CalledKey | null>
  /** Null while it is being looked up. */
  key: CalledKey | null
}

export class AgentCalls {
  readonly #threads: AgentThreads
  /** Keys by id, as they were last looked up in this login. */
  readonly #keys = new Map<string, Looked>()
  /** The public half that an id was found with first: it never changes. */
  readonly #publicHalves = new Map<string, string>()
  readonly #making = new Set<string>()
  #numbers = 0
  /** Since the last call that went well. */
  #generalErrors = 0

  constructor(threads: AgentThreads) {
    this.#threads = threads
  }

  async answer(call: AgentCall): Promise<AgentAnswer> {
    try {
      const value = await this.#run(call)
      // A ping says little about keys.
      if (call.op !== 'ping') this.#generalErrors = 0
      return { call: call.call, ok: true, value }
    } catch (thrown) {
      const problem = thrown instanceof JobRefused ? thrown.problem : problemOf(call.op, thrown)
      return {
        call: call.call,
        ok: false,
        problem: this.#isOneTooMany(problem) ? { ...problem, fatal: true } : problem
      }
    }
  }

  /** One unspecified error says nothing about the next call, three in a row do; of C_Decrypt it is what SoftHSM says to a wrong tag. */
  #isOneTooMany({ failure }: AgentProblem): boolean {
    if (failure?.code !== generalError || failure.call === 'C_Decrypt') return false
    this.#generalErrors += 1
    return this.#generalErrors >= mostGeneralErrors
  }

  #run({ op, ask }: AgentCall): Promise<AgentOperations[AgentCall['op']]['answer']> {
    switch (op) {
      case 'create':
        return this.#create(ask)
      case 'find':
        return this.#find(ask.id).then((key) => key?.ref ?? null)
      case 'publicKey':
        return this.#publicKey(ask.id)
      case 'checkValue':
        return this.#withKey(ask.id, (key, on) => {
          if (key.ref.algorithm !== 'AES-256') {
            throw new AgentRefusal('invalid-input', `The key ${ask.id} has no check value.`, '')
          }
          return this.#threads.run('checkValue', { key: key.number }, key.found, on)
        })
      case 'sign':
        return this.#withKey(ask.id, (key, on) => this.#sign(key, ask, on))
      case 'random':
        return this.#random(ask)
      case 'destroy':
        return this.#destroy(ask.id)
      case 'ping':
        return this.#threads.run('ping', ask)
      case 'encrypt': {
        // Copies: what came over IPC are views of the whole message, and all of it would travel on.
        const bytes = { plaintext: unpooled(ask.plaintext), aad: unpooled(ask.aad) }
        return this.#withKey(ask.id, (key, on) =>
          this.#threads.run('encrypt', { key: key.number, ...bytes }, key.found, on)
        )
      }
      case 'decrypt': {
        const { mode, iv, data } = ask.sealed
        const sealed = { mode, iv: unpooled(iv), data: unpooled(data) }
        const aad = unpooled(ask.aad)
        return this.#withKey(ask.id, (key, on) =>
          this.#threads.run('decrypt', { key: key.number, sealed, aad }, key.found, on)
        )
      }
    }
  }

  #sign(key: CalledKey, ask: AgentOperations['sign']['ask'], on: ThreadHandle | null): Promise<Uint8Array> {
    const { ref, number, publicKey } = key
    if (ref.algorithm !== ask.algorithm || publicKey === null) {
      throw new AgentRefusal('invalid-input', `The key ${ref.id} is ${ref.algorithm}, not ${ask.algorithm}.`, '')
    }
    const { data } = ask
    if (this.#threads.threadsVerify) {
      return this.#threads.run('sign', { key: number, data: unpooled(data) }, key.found, on)
    }
    const input = unpooled(signInput(ref, data))
    return this.#threads
      .run('signRaw', { key: number, input }, key.found, on)
      .then((raw) => verifiedSignature(ref, publicKey, data, raw))
  }

  /** Every operation here may be repeated: nothing is created or destroyed by it. */
  async #withKey<T>(id: string, use: (key: CalledKey, on: ThreadHandle | null) => Promise<T>): Promise<T> {
    const key = this.#keys.get(id)?.key ?? (await this.#get(id))
    try {
      return await use(key, null)
    } catch (thrown) {
      const again = againAfter(thrown)
      this.#forget(key)
      const fresh = await this.#get(id)
      return await onAnother(use(fresh, again.on), () => use(fresh, null))
    }
  }

  async #random(ask: AgentOperations['random']['ask']): Promise<Uint8Array> {
    const draw = (on: ThreadHandle | null) => this.#threads.run('random', ask, null, on)
    try {
      return await draw(null)
    } catch (thrown) {
      return await onAnother(draw(againAfter(thrown).on), () => draw(null))
    }
  }

  /** @throws AgentRefusal not-found */
  async #get(id: string): Promise<CalledKey> {
    const key = await this.#find(id)
    if (key === null) {
      throw new AgentRefusal('not-found', `The token has no key ${id}.`, 'Restore the token from its backup.')
    }
    return key
  }

  #find(id: string): Promise<CalledKey | null> {
    const known = this.#keys.get(id)
    if (known !== undefined) return known.looked
    const entry: Looked = { looked: this.#look(id), key: null }
    this.#keys.set(id, entry)
    const settle = (key: CalledKey | null) => {
      entry.key = key
      if (key === null && this.#keys.get(id) === entry) this.#keys.delete(id)
    }
    entry.looked.then(settle, () => settle(null))
    return entry.looked
  }

  async #look(id: string): Promise<CalledKey | null> {
    const found = await this.#threads.run('look', { id })
    if (found === null) return null
    const half = JSON.stringify(found.jwk)
    const before = this.#publicHalves.get(id) ?? half
    this.#publicHalves.set(id, before)
    if (before !== half) {
      throw new AgentRefusal('conflict', `The key ${id} is another one now.`, 'Restore the token from its backup.')
    }
    this.#numbers += 1
    const number = this.#numbers
    const publicKey = found.jwk === null ? null : publicKeyObject(found.jwk)
    return { ref: found.ref, number, publicKey, found: { ...found, number } }
  }

  #forget({ ref, number }: CalledKey): void {
    this.#threads.forget(number)
    // Another call may have looked it up again already.
    if (this.#keys.get(ref.id)?.key?.number === number) this.#keys.delete(ref.id)
  }

  async #publicKey(id: string) {
    const { jwk } = (await this.#get(id)).found
    if (jwk === null) throw new AgentRefusal('invalid-input', `The key ${id} has no public half.`, '')
    return jwk
  }

  async #create(spec: KeySpec): Promise<KeyRef> {
    const { id } = spec
    if (this.#making.has(id)) throw new AgentRefusal('conflict', `The key ${id} is being made.`, 'Use that key.')
    this.#making.add(id)
    try {
      if ((await this.#find(id)) !== null || (await this.#threads.run('taken', { id }))) {
        throw new AgentRefusal('conflict', `The token already has a key ${id}.`, 'Use the existing key.')
      }
      await this.#threads.run('generate', spec)
      return (await this.#get(id)).ref
    } finally {
      this.#making.delete(id)
    }
  }

  async #destroy(id: string): Promise<boolean> {
    const known = this.#keys.get(id)?.key
    this.#keys.delete(id)
    this.#publicHalves.delete(id)
    if (known != null) this.#threads.forget(known.number)
    return await this.#threads.run('destroy', { id })
  }
}

/** @throws what was thrown, when it is not worth another try */
function againAfter(thrown: unknown): NonNullable<JobRefused['again']> {
  if (thrown instanceof JobRefused && thrown.again !== null) return thrown.again
  throw thrown
}

/** The second try, and a last one by another thread when this one has no session any more. */
function onAnother<T>(second: Promise<T>, last: () => Promise<T>): Promise<T> {
  return second.catch((thrown: unknown) => {
    if (againAfter(thrown).on === null) return last()
    throw thrown
  })
}
