/** Keys by id, as the agent last looked them up in this login. */
import type { KeyObject } from 'node:crypto'
import { AgentRefusal } from './agent-problem.ts'
import type { NumberedKey } from './agent-thread-protocol.ts'
import type { AgentThreads } from './agent-threads.ts'
import type { KeyRef } from './keystore.ts'
import { publicKeyObject } from './public-key.ts'

export interface CalledKey {
  readonly ref: KeyRef
  readonly number: number
  /** Null for AES. */
  readonly publicKey: KeyObject | null
  /** As it is told to threads. */
  readonly found: NumberedKey
}

interface Looked {
  readonly looked: Promise<CalledKey | null>
  /** Null while it is being looked up. */
  key: CalledKey | null
}

export class AgentKeys {
  readonly #threads: AgentThreads
  readonly #keys = new Map<string, Looked>()
  /** The public half that an id was found with first: it never changes. */
  readonly #publicHalves = new Map<string, string>()
  #numbers = 0

  constructor(threads: AgentThreads) {
    this.#threads = threads
  }

  /** Null also while it is being looked up. */
  known(id: string): CalledKey | null {
    return this.#keys.get(id)?.key ?? null
  }

  /** The next use looks it up; another key may come to have this id. */
  destroyed(id: string): void {
    const known = this.known(id)
    if (known !== null) this.#threads.forget(known.number)
    this.#keys.delete(id)
    this.#publicHalves.delete(id)
  }

  /** @throws AgentRefusal not-found */
  async get(id: string): Promise<CalledKey> {
    const key = await this.find(id)
    if (key === null) {
      throw new AgentRefusal('not-found', `The token has no key ${id}.`, 'Restore the token from its backup.')
    }
    return key
  }

  /** One look for all who ask meanwhile. @throws AgentRefusal conflict when it has another public half than before */
  find(id: string): Promise<CalledKey | null> {
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

  /** Its handle was refused: the next use looks it up. */
  forget(id: string, number: number): void {
    this.#threads.forget(number)
    // Another call may have looked it up again already.
    if (this.#keys.get(id)?.key?.number === number) this.#keys.delete(id)
  }
}
