/**
 * Which keys of the token are ours: table kms_keys. A key is intended (row), made, proved, then active; whoever finds an
 * intended one finishes it, whether the token had made it already or not. Exactly one active key a purpose and tenant.
 */
import { randomBytes } from 'node:crypto'
import type { Pool, PoolConnection } from 'mysql2/promise'
import { asDatabaseError, utcNow, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { finishKey } from '../../lib/keystore/finish-key.ts'
import type { KeyAlgorithm, KeyRef } from '../../lib/keystore/keystore.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import type { KeyStoreLink, OpenKeyStore } from './key-store-link.ts'
import { activateKey, intendKey, type RingKey, selectKeys } from './key-table.ts'

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
  /** The one that wraps what is new. @throws AppError not-found */
  readonly active: (purpose: 'master' | 'tenant', tenant: string | null) => Promise<RingKey>
  /**
   * The next version of a key, made or adopted in the token, and `replace` in the transaction that makes it the active one.
   * Null when somebody else has done it meanwhile.
   */
  readonly next: <T>(
    current: RingKey,
    replace: (next: RingKey, connection: PoolConnection) => Promise<T>
  ) => Promise<T | null>
}

/** An RSA-3072 key may take a network HSM ten seconds and more. */
const keyCreationMs = 40_000

export function openKeyRing(database: Pool, link: KeyStoreLink): KeyRing {
  /** Rows are locked while a key is made: nothing in a token is unique by label or id, and another KMS may be at it too. */
  const locked = <T>(
    where: Record<string, string>,
    work: (key: RingKey, connection: PoolConnection, all: readonly RingKey[]) => Promise<T>
  ) =>
    withTransaction(database, async (connection) => {
      const keys = await selectKeys(connection, where, 'FOR UPDATE')
      if (keys[0] === undefined) throw new AppError('internal', 'The row of a key is gone.')
      return work(keys[0], connection, keys)
    }).catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })

  const make = (key: RingKey, drawn: string) =>
    link.use((store) => makeOrAdopt(store, key, key.id === drawn), keyCreationMs)

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
      const drawn = await intendKey(database, { purpose, tenant, algorithm })
      return locked({ purpose, tenant }, async (key, connection) => {
        if (key.algorithm !== algorithm) {
          throw new AppError('conflict', `${tenant} has a ${purpose} key already, and it is ${key.algorithm}.`)
        }
        const made = await make(key, drawn)
        if (key.state === 'active') return key
        await activateKey(connection, key.id, made)
        return { ...key, ...made, state: 'active' }
      })
    },
    active: async (purpose, tenant) => {
      const [key] = await selectKeys(database, { purpose, tenant: tenant ?? '' })
      if (key?.state === 'active') return key
      throw new AppError('not-found', tenant === null ? `There is no ${purpose} key.` : `${tenant} has no key.`)
    },
    next: async (current, replace) => {
      const { purpose, algorithm } = current
      const [tenant, version] = [current.tenant ?? '', current.version + 1]
      const drawn = await intendKey(
        database,
        { purpose, tenant, algorithm, version },
        versionLabel(current.label, version)
      )
      return locked({ purpose, tenant }, async (_active, connection, all) => {
        const key = all.find((one) => one.version === version && one.state === 'intent')
        if (key === undefined) return null
        const made = await make(key, drawn)
        await connection.execute(`UPDATE kms_keys SET state = 'retired', retired_at = ? WHERE id = ?`, [
          utcNow(),
          current.id
        ])
        await activateKey(connection, key.id, made)
        return replace({ ...key, ...made, state: 'active' }, connection)
      })
    }
  }
}

/** `keyscaler master key`, `keyscaler master key v2`: a name tells the version, for who must type it. */
function versionLabel(label: string, version: number): string {
  const suffix = ` v${version}`
  return `${label.replace(/ v\d+$/, '').slice(0, 64 - suffix.length)}${suffix}`
}

/** @returns the public key in DER, or the check value of a secret key */
async function makeOrAdopt(
  store: OpenKeyStore,
  key: RingKey,
  isNew: boolean
): Promise<Pick<RingKey, 'publicKey' | 'checkValue'>> {
  const { id, algorithm, label } = key
  const ref = key.state === 'intent' ? await finishKey(store, { id, algorithm, label }, isNew) : await store.findKey(id)
  if (ref === null) {
    throw new AppError('conflict', `The key "${label}" (${id}) is no longer in the key store.`, {
      cure: 'Restore the backup of the partition; this key is not made again.'
    })
  }
  if (ref.algorithm !== algorithm) {
    throw new AppError('conflict', `The key ${id} in the key store is ${ref.algorithm}, not ${algorithm}.`)
  }
  // A CA key is proved by its own certificate: it signs nothing but what the profile engine builds.
  if (ref.algorithm !== 'AES-256') {
    return { publicKey: (await store.publicKey(ref)).export({ type: 'spki', format: 'der' }), checkValue: null }
  }
  await proveEncryption(store, ref)
  return { publicKey: null, checkValue: await store.checkValue(ref) }
}

async function proveEncryption(store: OpenKeyStore, ref: KeyRef): Promise<void> {
  const probe = randomBytes(32)
  const aad = Buffer.from(`probe/${ref.id}`)
  const opened = await store.decrypt(ref, await store.encrypt(ref, probe, aad), aad)
  if (!probe.equals(opened)) throw new AppError('internal', `The key ${ref.id} does not give back what it encrypted.`)
}
