import { AppError } from '../errors/app-error.ts'
import type { KeyRef, KeySpec, KeyStore } from './keystore.ts'

/**
 * A key that is intended and no more: the whole one when the token has made it already, otherwise made now. A kill inside
 * C_GenerateKeyPair leaves one half under its id, the public one (SoftHSM) or the private one (NSS); nothing was ever done
 * with it, so it goes.
 * @param isNew its id was drawn and written down just now: no token was ever asked for it, so nobody has to look twice
 * @throws AppError as createKey; conflict when what the token makes is not what was asked for
 */
export async function finishKey(store: KeyStore, spec: KeySpec, isNew: boolean): Promise<KeyRef> {
  if (isNew) return await store.createKey(spec)
  const made = await store.findKey(spec.id).catch((thrown: unknown) => {
    if (thrown instanceof AppError && thrown.code === 'conflict') return null
    throw thrown
  })
  if (made !== null) return made
  await store.destroyKey(spec.id)
  return await store.createKey(spec)
}
