/** The master key is found by its id and proved by use, at every opening of the key store. */
import { randomBytes } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRef } from '../../lib/keystore/keystore.ts'
import type { OpenKeyStore } from './key-store-link.ts'

export const masterKeyRef = (id: string): KeyRef => ({ id, algorithm: 'AES-256', label: 'master key' })

/** @throws AppError conflict when the token has no such key, or it does not give back what it encrypted */
export async function proveMasterKey(store: OpenKeyStore, id: string): Promise<void> {
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
  const canary = randomBytes(32)
  const aad = Buffer.from(`canary/${id}`)
  const opened = await store.decrypt(key, await store.encrypt(key, canary, aad), aad)
  if (!canary.equals(opened))
    throw new AppError('conflict', `The master key ${id} does not give back what it encrypted.`)
}
