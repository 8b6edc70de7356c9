/** Keys of one token by CKA_ID, for one login of one process. Only for the agent. */
import { setTimeout as pause } from 'node:timers/promises'
import pkcs11js from 'pkcs11js'
import { AgentRefusal } from './agent-problem.ts'
import { generateAes, generateSigningPair, type OpenSession, readBytes, readPublicKey } from './key-operations.ts'
import type { KeyRef, KeySpec } from './keystore.ts'
import { attempt, unpadded } from './module.ts'
import type { MechanismChoices } from './profiles/profile.ts'
import type { PublicJwk } from './public-key.ts'

export interface KeyInToken {
  readonly ref: KeyRef
  /** The secret or private half; of a software token a session copy. */
  readonly use: pkcs11js.Handle
  /** Null for AES. */
  readonly jwk: PublicJwk | null
}

/** Two SoftHSM processes may be blind to each other's new object until the next write (pkcs11.md section 6). */
const secondLookMs = 100

export class TokenKeys {
  readonly #choices: MechanismChoices
  /** Handles belong to this process and login only; they are found again by CKA_ID, never stored. */
  readonly #found = new Map<string, KeyInToken>()
  /** Owns session copies, so that replacing the work session does not lose them. */
  readonly #anchor: OpenSession

  constructor(anchor: OpenSession, choices: MechanismChoices) {
    this.#anchor = anchor
    this.#choices = choices
  }

  /** Null is believed only after a second look. @throws AgentRefusal conflict for doubles and for keys that are not safe */
  async find(id: string): Promise<KeyInToken | null> {
    const known = this.#found.get(id)
    if (known !== undefined) return known
    const first = this.#look(id)
    if (first !== null) return first
    await pause(secondLookMs)
    return this.#look(id)
  }

  async get(id: string): Promise<KeyInToken> {
    const key = await this.find(id)
    if (key === null)
      throw new AgentRefusal('not-found', `The token has no key ${id}.`, 'Restore the token from its backup.')
    return key
  }

  async create(spec: KeySpec): Promise<KeyRef> {
    const { algorithm, label } = spec
    const taken = () => this.#objects(spec.id).length > 0
    if ((await this.find(spec.id)) !== null || taken()) {
      throw new AgentRefusal('conflict', `The token already has a key ${spec.id}.`, 'Use the existing key.')
    }
    const place = { token: true, id: Buffer.from(spec.id, 'hex'), label }
    if (algorithm === 'AES-256') generateAes(this.#anchor, place)
    else generateSigningPair(this.#anchor, algorithm, place, this.#choices)
    return (await this.get(spec.id)).ref
  }

  /** Removes every object with this id: both halves. */
  destroy(id: string): boolean {
    const { library, session } = this.#anchor
    this.#found.delete(id)
    const objects = this.#objects(id)
    for (const object of objects) attempt('C_DestroyObject', () => library.C_DestroyObject(session, object))
    return objects.length > 0
  }

  /** After KEY_HANDLE_INVALID: the next use looks it up again. */
  forget(id: string): void {
    this.#found.delete(id)
  }

  /** Proves that the login really works: an expired password shows at the first operation only. */
  touch(): void {
    this.#search([{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY }], 1)
  }

  #look(id: string): KeyInToken | null {
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
    const key = isSecretKey
      ? { ref: this.#aesRef(id, handle, label), use: this.#usable(handle), jwk: null }
      : this.#pair(id, label, handle, of(pkcs11js.CKO_PUBLIC_KEY))
    this.#found.set(id, key)
    return key
  }

  #pair(id: string, label: string, handle: pkcs11js.Handle, publics: readonly pkcs11js.Handle[]): KeyInToken {
    const [publicHandle] = publics
    if (publicHandle === undefined || publics.length > 1) {
      const detail = `The key ${id} has ${publics.length} public halves.`
      throw new AgentRefusal('conflict', detail, 'Destroy the key by its id and create it again.')
    }
    const { algorithm, jwk } = readPublicKey(this.#anchor, publicHandle)
    return { ref: { id, algorithm, label }, use: this.#usable(handle), jwk }
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
  #usable(handle: pkcs11js.Handle): pkcs11js.Handle {
    if (!this.#choices.copyKeysToSession) return handle
    const { library, session } = this.#anchor
    const copy = [{ type: pkcs11js.CKA_TOKEN, value: false }]
    return attempt('C_CopyObject', () => library.C_CopyObject(session, handle, copy))
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
    attempt('C_FindObjectsInit', () => library.C_FindObjectsInit(session, template))
    try {
      return attempt('C_FindObjects', () => library.C_FindObjects(session, most))
    } finally {
      attempt('C_FindObjectsFinal', () => library.C_FindObjectsFinal(session))
    }
  }
}
