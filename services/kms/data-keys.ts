/**
 * Data keys: 32 random bytes of the token, encrypted under the master key and bound to the caller's context. They are kept by
 * the callers; the KMS keeps nothing of them.
 */
import { AppError } from '../../lib/errors/app-error.ts'
import type { DataKey, WrappedDataKey } from '../../lib/kms-client/kms-client.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import { masterKeyRef } from './master-key.ts'
import type { Measures } from './measures.ts'

export interface DataKeys {
  readonly create: (context: string) => Promise<DataKey>
  /** @throws AppError invalid-input for another context, another master key, or changed bytes */
  readonly unwrap: (wrapped: WrappedDataKey, context: string) => Promise<Buffer>
}

const dataKeyBytes = 32

export function openDataKeys(link: KeyStoreLink, masterKey: string, { timed }: Measures): DataKeys {
  const key = masterKeyRef(masterKey)
  return {
    create: (context) =>
      link.use(async (store) => {
        const plaintext = Buffer.from(await store.random(dataKeyBytes))
        const sealed = await timed('wrap', () => store.encrypt(key, plaintext, aadOf(context)))
        // What is sealed under a key that cannot be opened again is lost: one more round trip, once in a data key's life.
        const opened = await timed('unwrap', () => store.decrypt(key, sealed, aadOf(context)))
        if (!plaintext.equals(opened))
          throw new AppError('internal', 'A new data key did not open again; it was thrown away.')
        return { plaintext, wrapped: { ...sealed, masterKey } }
      }),
    unwrap: ({ masterKey: wrappedBy, ...sealed }, context) =>
      link.use(async (store) => {
        if (wrappedBy !== masterKey) throw doesNotOpen(`it was wrapped by the master key ${wrappedBy}`)
        const opened = await timed('unwrap', () => store.decrypt(key, sealed, aadOf(context)))
        if (opened.length !== dataKeyBytes) throw doesNotOpen('it is no data key')
        return Buffer.from(opened)
      })
  }
}

/** Keeps data keys apart from whatever else the master key encrypts. */
function aadOf(context: string): Buffer {
  return Buffer.from(`data-key/${context}`)
}

function doesNotOpen(why: string): AppError {
  return new AppError('invalid-input', `The data key does not open: ${why}.`)
}
