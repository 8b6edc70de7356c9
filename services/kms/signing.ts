/**
 * Tenants' signing keys: they sign messages. Never a digest (that could be anybody's certificate), and never with a key of
 * another purpose. What is signed begins with words that no certificate can begin with (a TBSCertificate is a SEQUENCE, 0x30).
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRef } from '../../lib/keystore/keystore.ts'
import { signedBytes } from '../../lib/kms-client/signed-message.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyStoreLink, OpenKeyStore } from './key-store-link.ts'
import type { RingKey } from './key-table.ts'
import type { Measures } from './measures.ts'
import { successorOf } from './successor-key.ts'

export type MessageSigningAlgorithm = 'EC-P256' | 'RSA-3072'

export interface SigningKey {
  readonly keyId: string
  readonly algorithm: MessageSigningAlgorithm
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string
}

export interface SigningKeyVersion extends SigningKey {
  readonly version: number
  /** Only the `active` one signs; what the others have signed verifies for ever with their public keys. */
  readonly state: RingKey['state']
}

export interface SigningKeys {
  /** Idempotent: the tenant's one that signs. @throws AppError conflict when the tenant has one of the other algorithm */
  readonly create: (tenant: string, algorithm: MessageSigningAlgorithm) => Promise<SigningKey>
  /** The next version, which signs from now on: the same for the same key. @throws AppError not-found */
  readonly succeed: (keyId: string) => Promise<SigningKey>
  /** All versions of the key that this is one of, newest first; destroyed ones too. @throws AppError not-found */
  readonly versions: (keyId: string) => Promise<SigningKeyVersion[]>
  /**
   * SHA-256 with ECDSA (DER) or RSASSA-PKCS1-v1_5 over `signedBytes(message)` of each, verified before it is released: all or none.
   * @throws AppError not-found for an id that is not a signing key's, conflict for one that was followed by another, and when
   * the token's key is not the one that was made
   */
  readonly sign: (keyId: string, messages: readonly Buffer[]) => Promise<Uint8Array[]>
}

interface KnownKey {
  readonly ref: KeyRef
  readonly publicKey: KeyObject
}

export function openSigningKeys(ring: KeyRing, link: KeyStoreLink, { timed }: Measures): SigningKeys {
  /** An active signing key changes by being followed only, which is done here, so its row is read once. */
  const known = new Map<string, KnownKey>()
  const followed = new Set<string>()
  /** Keys that an open key store has shown to be ours. A key store that is opened anew shows it again. */
  const shown = new WeakMap<OpenKeyStore, Set<string>>()

  /** Any version of it. */
  async function one(keyId: string): Promise<RingKey> {
    const key = await ring.find(keyId)
    if (key?.purpose === 'signing' && key.state !== 'intent') return key
    throw new AppError('not-found', 'There is no such signing key.')
  }

  async function find(keyId: string): Promise<KnownKey> {
    const before = known.get(keyId)
    if (before !== undefined) return before
    const key = await one(keyId)
    // It may have been followed while it was read.
    if (key.state !== 'active' || followed.has(keyId)) {
      throw new AppError('conflict', `The signing key ${keyId} was followed by another version.`, {
        cure: 'Ask for the key that signs now: POST /v1/signing-keys.'
      })
    }
    const found = { ref: { id: key.id, algorithm: key.algorithm, label: key.label }, publicKey: publicKeyOf(key) }
    known.set(keyId, found)
    return found
  }

  /** The key store verifies what it signs with the token's public key: so that one has to be the one that we know. */
  async function refuseOtherKey(store: OpenKeyStore, { ref, publicKey }: KnownKey): Promise<void> {
    if (shown.get(store)?.has(ref.id) === true) return
    if (!publicKey.equals(await store.publicKey(ref))) {
      throw new AppError(
        'conflict',
        `The key ${ref.id} in the key store is not the one that was made for this install.`,
        {
          cure: 'Connect the token that this install was made with, or restore its backup.'
        }
      )
    }
    const ours = shown.get(store) ?? new Set()
    shown.set(store, ours.add(ref.id))
  }

  return {
    create: async (tenant, algorithm) => {
      return asSigningKey(await ring.ensure('signing', tenant, algorithm))
    },
    succeed: async (keyId) => {
      const current = await one(keyId)
      const next = await successorOf(ring, current)
      followed.add(keyId)
      known.delete(keyId)
      return asSigningKey(next)
    },
    versions: async (keyId) => {
      const { tenant } = await one(keyId)
      const ids = (await ring.list()).filter((key) => key.purpose === 'signing' && key.tenant === tenant)
      const keys = await Promise.all(ids.map(({ id }) => ring.find(id)))
      return keys
        .filter((key): key is RingKey => key?.publicKey != null)
        .sort((a, b) => b.version - a.version)
        .map((key) => ({ ...asSigningKey(key), version: key.version, state: key.state }))
    },
    sign: async (keyId, messages) => {
      const key = await find(keyId)
      return timed('sign', () =>
        link.use(async (store) => {
          await refuseOtherKey(store, key)
          return Promise.all(messages.map((message) => store.sign(key.ref, signedBytes(message))))
        })
      )
    }
  }
}

function asSigningKey(key: RingKey): SigningKey {
  const { id, algorithm } = key
  if (algorithm !== 'EC-P256' && algorithm !== 'RSA-3072')
    throw new AppError('internal', `The key ${id} signs no messages.`)
  return { keyId: id, algorithm, publicKey: publicKeyOf(key).export({ type: 'spki', format: 'pem' }).toString() }
}

function publicKeyOf({ id, publicKey }: RingKey): KeyObject {
  if (publicKey === null) throw new AppError('internal', `The signing key ${id} has no public key.`)
  return createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
}
