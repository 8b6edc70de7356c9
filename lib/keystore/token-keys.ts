/** Keys of one token by CKA_ID, looked up in the anchor session of one login. Only for the agent's keeper. */
import { setTimeout as pause } from 'node:timers/promises'
import pkcs11js from 'pkcs11js'
import { AgentRefusal } from './agent-problem.ts'
import type { FoundKey } from './agent-thread-protocol.ts'
import { type OpenSession, readBytes, readPublicKey } from './key-operations.ts'
import type { KeyRef } from './keystore.ts'
import { attempt, CallRefused, unpadded } from './module.ts'
import { unpooled } from './unpooled.ts'

/** Two SoftHSM processes may be blind to each other's new object until the next write (pkcs11.md section 6). */
const secondLookMs = 100

const operationActive = 0x90

export class TokenKeys {
  readonly #copies: boolean
  /** Session copies by id. They die with the login; every session of it can use them. */
  readonly #copied = new Map<string, pkcs11js.Handle>()
  readonly #anchor: OpenSession

  /** @param anchor owns the session copies, and is never closed while the login is needed */
  constructor(anchor: OpenSession, copies: boolean) {
    this.#anchor = anchor
    this.#copies = copies
  }

  /** Null is believed only after a second look. @throws AgentRefusal conflict for doubles and for keys that are not safe */
  async find(id: string): Promise<FoundKey | null> {
    const first = this.#look(id)
    if (first !== null) return first
    await pause(secondLookMs)
    return this.#look(id)
  }

  /** Is there anything under this id, half a key included? */
  taken(id: string): boolean {
    return this.#objects(id).length > 0
  }

  /** Removes every object with this id: both halves, and the copy. */
  destroy(id: string): boolean {
    const { library, session } = this.#anchor
    this.#dropCopy(id)
    const objects = this.#objects(id)
    for (const object of objects) attempt('C_DestroyObject', () => library.C_DestroyObject(session, object))
    return objects.length > 0
  }

  /** No secret and no private key, whoever made it. */
  areNone(): boolean {
    const kinds = [pkcs11js.CKO_SECRET_KEY, pkcs11js.CKO_PRIVATE_KEY]
    const inToken = { type: pkcs11js.CKA_TOKEN, value: true }
    return kinds.every((kind) => this.#search([{ type: pkcs11js.CKA_CLASS, value: kind }, inToken], 1).length === 0)
  }

  /** Proves that the login really works: an expired password shows at the first operation only. */
  touch(): void {
    this.#search([{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY }], 1)
  }

  #look(id: string): FoundKey | null {
    const name = { type: pkcs11js.CKA_ID, value: Buffer.from(id, 'hex') }
    const of = (kind: number) =>
      this.#search([{ type: pkcs11js.CKA_CLASS, value: kind }, { type: pkcs11js.CKA_TOKEN, value: true }, name], 3)
    const secrets = [...of(pkcs11js.CKO_SECRET_KEY), ...of(pkcs11js.CKO_PRIVATE_KEY)]
    const [handle] = secrets
    if (handle === undefined) return null
    if (secrets.length > 1) {
      throw new AgentRefusal(
        'conflict',
        `The token has ${secrets.length} keys ${id}.`,
        'Remove the one that is not ours.'
      )
    }
    const isSecretKey = readBytes(this.#anchor, handle, pkcs11js.CKA_CLASS).readUInt32LE() === pkcs11js.CKO_SECRET_KEY
    this.#refuseUnsafe(id, handle)
    const label = unpadded(readBytes(this.#anchor, handle, pkcs11js.CKA_LABEL).toString('utf8'))
    return isSecretKey
      ? { ref: this.#aesRef(id, handle, label), handle: this.#usable(id, handle), jwk: null }
      : this.#pair(id, label, handle, of(pkcs11js.CKO_PUBLIC_KEY))
  }

  #pair(id: string, label: string, handle: pkcs11js.Handle, publics: readonly pkcs11js.Handle[]): FoundKey {
    const [publicHandle] = publics
    if (publicHandle === undefined || publics.length > 1) {
      const detail = `The key ${id} has ${publics.length} public halves.`
      throw new AgentRefusal('conflict', detail, 'Destroy the key by its id and create it again.')
    }
    const { algorithm, jwk } = readPublicKey(this.#anchor, publicHandle)
    return { ref: { id, algorithm, label }, handle: this.#usable(id, handle), jwk }
  }

  #aesRef(id: string, handle: pkcs11js.Handle, label: string): KeyRef {
    const type = readBytes(this.#anchor, handle, pkcs11js.CKA_KEY_TYPE).readUInt32LE()
    const bytes = readBytes(this.#anchor, handle, pkcs11js.CKA_VALUE_LEN).readUInt32LE()
    if (type !== pkcs11js.CKK_AES || bytes !== 32) {
      throw new AgentRefusal('conflict', `The key ${id} is not AES-256.`, 'Remove the key that is not ours.')
    }
    return { id, algorithm: 'AES-256', label }
  }

  #refuseUnsafe(id: string, handle: pkcs11js.Handle): void {
    const sensitive = readBytes(this.#anchor, handle, pkcs11js.CKA_SENSITIVE)[0] === 1
    const extractable = readBytes(this.#anchor, handle, pkcs11js.CKA_EXTRACTABLE)[0] === 1
    if (!sensitive || extractable) {
      const detail = `The key ${id} is not protected: it is ${sensitive ? 'extractable' : 'not sensitive'}.`
      throw new AgentRefusal('conflict', detail, 'Remove the key that is not ours.')
    }
  }

  /** A software token decrypts a token key at every use; its session copy keeps SENSITIVE and !EXTRACTABLE. */
  #usable(id: string, handle: pkcs11js.Handle): Uint8Array {
    if (!this.#copies) return unpooled(handle)
    this.#dropCopy(id)
    const { library, session } = this.#anchor
    const template = [{ type: pkcs11js.CKA_TOKEN, value: false }]
    const copy = attempt('C_CopyObject', () => library.C_CopyObject(session, handle, template))
    this.#copied.set(id, copy)
    return unpooled(copy)
  }

  #dropCopy(id: string): void {
    const copy = this.#copied.get(id)
    this.#copied.delete(id)
    if (copy === undefined) return
    const { library, session } = this.#anchor
    try {
      library.C_DestroyObject(session, copy)
    } catch {
      // Gone already, which is why the key is looked up again.
    }
  }

  #objects(id: string): pkcs11js.Handle[] {
    return this.#search(
      [
        { type: pkcs11js.CKA_TOKEN, value: true },
        { type: pkcs11js.CKA_ID, value: Buffer.from(id, 'hex') }
      ],
      20
    )
  }

  #search(template: pkcs11js.Template, most: number): pkcs11js.Handle[] {
    const { library, session } = this.#anchor
    const begin = () => attempt('C_FindObjectsInit', () => library.C_FindObjectsInit(session, template))
    try {
      begin()
    } catch (error) {
      if (!(error instanceof CallRefused) || error.failure.code !== operationActive) throw error
      // A search that was broken off: this one has a way to end it.
      attempt('C_FindObjectsFinal', () => library.C_FindObjectsFinal(session))
      begin()
    }
    try {
      return attempt('C_FindObjects', () => library.C_FindObjects(session, most))
    } finally {
      attempt('C_FindObjectsFinal', () => library.C_FindObjectsFinal(session))
    }
  }
}
