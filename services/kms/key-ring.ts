/**
 * Which keys of the token are ours: table kms_keys. A key is intended (row), made, proved, then active; whoever finds an
 * intended one finishes it, whether the token had made it already or not. Exactly one key a purpose and tenant.
 */
import { randomBytes } from 'node:crypto'
import type { Pool, PoolConnection } from 'mysql2/promise'
import { asDatabaseError, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { finishKey } from '../../lib/keystore/finish-key.ts'
import type { KeyAlgorithm, KeyRef } from '../../lib/keystore/keystore.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import type { KeyStoreLink, OpenKeyStore } from './key-store-link.ts'
import { intendKey, type RingKey, selectKeys } from './key-table.ts'

export interface KeyRing {
  readonly list: () => Promise<KmsKey[]>
  readonly find: (id: string) => Promise<RingKey | null>
  /**
   * The tenant's key: made now, finished, or the one that there is.
   * @throws AppError conflict when there is one of another algorithm, or the token has lost it
   */
  readonly ensure: (
    purpose: 'tenant' | 'tenant-ca' | 'signing',
    tenant: string,
    algorithm: KeyAlgorithm
  ) => Promise<RingKey>
  /** The key's certificate (DER): the stored one, or what `issue` makes, exactly once. */
  readonly certified: (id: string, issue: (key: RingKey) => Promise<Buffer>) => Promise<Buffer>
  /** @throws AppError conflict when the database belongs to another master key */
  readonly refuseOtherMasterKey: (id: string) => Promise<void>
}

/** An RSA-3072 key may take a network HSM ten seconds and more. */
const keyCreationMs = 40_000

export function openKeyRing(database: Pool, link: KeyStoreLink): KeyRing {
  /** Rows are locked while a key is made: nothing in a token is unique by label or id, and another KMS may be at it too. */
  const locked = <T>(where: Record<string, string>, work: (key: RingKey, connection: PoolConnection) => Promise<T>) =>
    withTransaction(database, async (connection) => {
      const [key] = await selectKeys(connection, where, 'FOR UPDATE')
      if (key === undefined) throw new AppError('internal', 'The row of a key is gone.')
      return work(key, connection)
    }).catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })

  return {
    list: async () => (await selectKeys(database, {})).map(({ publicKey, certificate, ...key }) => key),
    find: async (id) => (await selectKeys(database, { id }))[0] ?? null,
    certified: (id, issue) =>
      locked({ id }, async (key, connection) => {
        if (key.certificate !== null) return key.certificate
        const certificate = await issue(key)
        await connection.execute('UPDATE kms_keys SET certificate = ? WHERE id = ?', [certificate, id])
        return certificate
      }),
    ensure: async (purpose, tenant, algorithm) => {
      await intendKey(database, purpose, tenant, algorithm)
      return locked({ purpose, tenant }, async (key, connection) => {
        if (key.algorithm !== algorithm) {
          throw new AppError('conflict', `${tenant} has a ${purpose} key already, and it is ${key.algorithm}.`)
        }
        const publicKey = await link.use((store) => makeOrAdopt(store, key), keyCreationMs)
        if (key.state === 'active') return key
        await connection.execute(`UPDATE kms_keys SET state = 'active', public_key = ? WHERE id = ?`, [
          publicKey,
          key.id
        ])
        return { ...key, state: 'active', publicKey }
      })
    },
    refuseOtherMasterKey: async (id) => {
      const [known] = await selectKeys(database, { purpose: 'master' })
      if (known === undefined || known.id === id) return
      throw new AppError(
        'conflict',
        `The database belongs to the master key ${known.id}, the configuration names ${id}.`,
        {
          cure: 'Use the database and the configuration of the same install.'
        }
      )
    }
  }
}

/** @returns the public key in DER, null for a secret key */
async function makeOrAdopt(store: OpenKeyStore, key: RingKey): Promise<Buffer | null> {
  const { id, algorithm, label } = key
  const ref = key.state === 'intent' ? await finishKey(store, { id, algorithm, label }) : await store.findKey(id)
  if (ref === null) {
    throw new AppError('conflict', `The key "${label}" (${id}) is no longer in the key store.`, {
      cure: 'Restore the backup of the partition; this key is not made again.'
    })
  }
  if (ref.algorithm !== algorithm) {
    throw new AppError('conflict', `The key ${id} in the key store is ${ref.algorithm}, not ${algorithm}.`)
  }
  // A CA key is proved by its own certificate: it signs nothing but what the profile engine builds.
  if (ref.algorithm !== 'AES-256') return (await store.publicKey(ref)).export({ type: 'spki', format: 'der' })
  await proveEncryption(store, ref)
  return null
}

async function proveEncryption(store: OpenKeyStore, ref: KeyRef): Promise<void> {
  const probe = randomBytes(32)
  const aad = Buffer.from(`probe/${ref.id}`)
  const opened = await store.decrypt(ref, await store.encrypt(ref, probe, aad), aad)
  if (!probe.equals(opened)) throw new AppError('internal', `The key ${ref.id} does not give back what it encrypted.`)
}
