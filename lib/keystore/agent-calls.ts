/** The agent's calls as jobs for its threads: which key is meant, and what may be tried once more. */
import { AgentRefusal, problemOf } from './agent-problem.ts'
import type { AgentAnswer, AgentCall, AgentOperations } from './agent-protocol.ts'
import { JobRefused, type ThreadHandle } from './agent-thread-handle.ts'
import type { NumberedKey } from './agent-thread-protocol.ts'
import type { AgentThreads } from './agent-threads.ts'
import type { KeyRef, KeySpec } from './keystore.ts'

export class AgentCalls {
  readonly #threads: AgentThreads
  /** Keys by id, as they were last looked up in this login. */
  readonly #keys = new Map<string, Promise<NumberedKey | null>>()
  /** The public half that an id was found with first: it never changes. */
  readonly #publicHalves = new Map<string, string>()
  readonly #making = new Set<string>()
  #numbers = 0

  constructor(threads: AgentThreads) {
    this.#threads = threads
  }

  async answer(call: AgentCall): Promise<AgentAnswer> {
    try {
      return { call: call.call, ok: true, value: await this.#run(call) }
    } catch (thrown) {
      const problem = thrown instanceof JobRefused ? thrown.problem : problemOf(call.op, thrown)
      return { call: call.call, ok: false, problem }
    }
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
          return this.#threads.run('checkValue', { key: key.number }, key, on)
        })
      case 'sign': {
        // A copy: what came over IPC is a view of the whole message, and all of it would travel on.
        const data = new Uint8Array(ask.data)
        return this.#withKey(ask.id, (key, on) => {
          const { algorithm } = key.ref
          if (algorithm !== ask.algorithm) {
            throw new AgentRefusal('invalid-input', `The key ${ask.id} is ${algorithm}, not ${ask.algorithm}.`, '')
          }
          return this.#threads.run('sign', { key: key.number, data }, key, on)
        })
      }
      case 'random':
        return this.#twice((on) => this.#threads.run('random', ask, null, on))
      case 'destroy':
        return this.#destroy(ask.id)
      case 'ping':
        return this.#threads.run('ping', ask)
      case 'encrypt': {
        const bytes = { plaintext: new Uint8Array(ask.plaintext), aad: new Uint8Array(ask.aad) }
        return this.#withKey(ask.id, (key, on) => this.#threads.run('encrypt', { key: key.number, ...bytes }, key, on))
      }
      case 'decrypt': {
        const { mode, iv, data } = ask.sealed
        const sealed = { mode, iv: new Uint8Array(iv), data: new Uint8Array(data) }
        const aad = new Uint8Array(ask.aad)
        return this.#withKey(ask.id, (key, on) =>
          this.#threads.run('decrypt', { key: key.number, sealed, aad }, key, on)
        )
      }
    }
  }

  /** Every operation here may be repeated: nothing is created or destroyed by it. */
  async #withKey<T>(id: string, use: (key: NumberedKey, on: ThreadHandle | null) => Promise<T>): Promise<T> {
    let key = await this.#get(id)
    return await this.#twice(
      (on) => use(key, on),
      async () => {
        this.#forget(key)
        key = await this.#get(id)
      }
    )
  }

  async #twice<T>(use: (on: ThreadHandle | null) => Promise<T>, between?: () => Promise<void>): Promise<T> {
    try {
      return await use(null)
    } catch (thrown) {
      if (!(thrown instanceof JobRefused) || thrown.again === null) throw thrown
      await between?.()
      return await use(thrown.again)
    }
  }

  /** @throws AgentRefusal not-found */
  async #get(id: string): Promise<NumberedKey> {
    const key = await this.#find(id)
    if (key === null) {
      throw new AgentRefusal('not-found', `The token has no key ${id}.`, 'Restore the token from its backup.')
    }
    return key
  }

  #find(id: string): Promise<NumberedKey | null> {
    const known = this.#keys.get(id)
    if (known !== undefined) return known
    const looked = this.#look(id)
    this.#keys.set(id, looked)
    const drop = () => {
      if (this.#keys.get(id) === looked) this.#keys.delete(id)
    }
    looked.then((key) => {
      if (key === null) drop()
    }, drop)
    return looked
  }

  async #look(id: string): Promise<NumberedKey | null> {
    const found = await this.#threads.run('look', { id })
    if (found === null) return null
    const half = JSON.stringify(found.jwk)
    const before = this.#publicHalves.get(id) ?? half
    this.#publicHalves.set(id, before)
    if (before !== half) {
      throw new AgentRefusal('conflict', `The key ${id} is another one now.`, 'Restore the token from its backup.')
    }
    this.#numbers += 1
    return { ...found, number: this.#numbers }
  }

  #forget({ ref, number }: NumberedKey): void {
    this.#threads.forget(number)
    const known = this.#keys.get(ref.id)
    void known?.then((key) => {
      if (key?.number === number && this.#keys.get(ref.id) === known) this.#keys.delete(ref.id)
    })
  }

  async #publicKey(id: string) {
    const { jwk } = await this.#get(id)
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
    const known = await this.#keys.get(id)?.catch(() => null)
    this.#keys.delete(id)
    this.#publicHalves.delete(id)
    if (known != null) this.#threads.forget(known.number)
    return await this.#threads.run('destroy', { id })
  }
}
