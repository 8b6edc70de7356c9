/**
 * The master key: the configuration names the version that the install was made with, the database which one is active now, so a
 * KMS that is started with an old configuration after a rotation is right all the same. Found by its id and proved by use, at
 * every opening of the key store.
 */
import { randomBytes } from 'node:crypto'
import type { Pool } from 'mysql2/promise'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsConfig } from './config.ts'
import type { OpenKeyStore } from './key-store-link.ts'
import { type RingKey, selectKeys } from './key-table.ts'

type Named = Pick<RingKey, 'id' | 'checkValue'>

export interface MasterKey {
  /** @throws AppError conflict when the token has no such key, has another one under its id, or it does not give back what it encrypted */
  readonly prove: (store: OpenKeyStore) => Promise<void>
  /** A rotation made another version the active one. */
  readonly replacedBy: (key: Named) => void
}

/** @throws AppError conflict when the database belongs to another master key: before anybody has logged in */
export async function openMasterKey(database: Pool, config: KmsConfig): Promise<MasterKey> {
  const versions = await selectKeys(database, { purpose: 'master' })
  const configured = versions.find(({ id }) => id === config.masterKey)
  if (versions.length > 0 && configured === undefined) {
    const known = versions.map(({ id }) => id).join(', ')
    throw new AppError(
      'conflict',
      `The database belongs to the master key ${known}, the configuration names ${config.masterKey}.`,
      {
        cure: 'Use the database and the configuration of the same install.'
      }
    )
  }
  const first = { id: config.masterKey, checkValue: config.masterKeyCheckValue ?? configured?.checkValue ?? null }
  const active = versions.find(({ state }) => state === 'active')
  let current: Named = active === undefined || active.id === first.id ? first : active
  return {
    prove: async (store) => {
      // The one that the install is known by, too, as long as it is kept: a token with another one is another install's.
      if (first.id !== current.id && first.checkValue !== null) await proveSame(store, first)
      await proveMasterKey(store, current)
    },
    replacedBy: (key) => {
      current = key
    }
  }
}

async function proveMasterKey(store: OpenKeyStore, { id, checkValue }: Named): Promise<void> {
  const { label, serial } = store.token
  const key = await store.findKey(id)
  if (key === null) {
    throw new AppError('conflict', `The key store ${label} (serial ${serial}) has no master key with the id ${id}.`, {
      cure: 'Connect the token that this install was made with, or restore its backup; a new master key could open nothing.'
    })
  }
  if (key.algorithm !== 'AES-256') {
    throw new AppError('conflict', `The key ${id} in ${label} is ${key.algorithm}, not the AES-256 master key.`)
  }
  await proveSame(store, { id, checkValue })
  const canary = randomBytes(32)
  const aad = Buffer.from(`canary/${id}`)
  const opened = await store.decrypt(key, await store.encrypt(key, canary, aad), aad)
  if (!canary.equals(opened))
    throw new AppError('conflict', `The master key ${id} does not give back what it encrypted.`)
}

/** Same id, other bytes: a token that was initialised again, or filled by somebody else. */
async function proveSame(store: OpenKeyStore, { id, checkValue }: Named): Promise<void> {
  const key = checkValue === null ? null : await store.findKey(id)
  if (key === null || key.algorithm !== 'AES-256') return
  const found = await store.checkValue(key)
  if (found === checkValue) return
  throw new AppError(
    'conflict',
    `The key ${id} in ${store.token.label} (serial ${store.token.serial}) is another master key: its check value is ${found}, that of this install ${checkValue}.`,
    { cure: 'Connect the token that this install was made with, or restore its backup.' }
  )
}
