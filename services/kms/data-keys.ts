/**
 * Data keys: 32 random bytes of the token, wrapped under the tenant's key where they are a tenant's, and under the master key.
 * They are kept by the callers, in table data_keys; the KMS keeps no plaintext of them.
 */
import { AppError } from '../../lib/errors/app-error.ts'
import type { DataKey, StoredDataKey, WrappedDataKey } from '../../lib/kms-client/kms-client.ts'
import { doesNotOpen, openLayers, wrapInLayers } from './envelope.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { Measures } from './measures.ts'
import type { WrappingKeys } from './wrapping-keys.ts'

export interface DataKeyUse {
  readonly context: string
  /** Absent: the install's own, under the master key alone. */
  readonly tenant?: string | undefined
}

export interface DataKeys {
  /** @throws AppError not-found when the tenant has no key */
  readonly create: (use: DataKeyUse) => Promise<DataKey & { readonly wrapped: WrappedDataKey }>
  /** @throws AppError invalid-input for another context, tenant or master key, or changed bytes */
  readonly unwrap: (wrapped: StoredDataKey, use: DataKeyUse) => Promise<Buffer>
}

const dataKeyBytes = 32

export function openDataKeys(link: KeyStoreLink, keys: WrappingKeys, { timed }: Measures): DataKeys {
  return {
    create: async (use) => {
      const aad = rowOf(use)
      const active = await keys.active(aad.tenant)
      return link.use(async (store) => {
        const plaintext = Buffer.from(await store.random(dataKeyBytes))
        const layers = active.map((key) => ({ ...key, store }))
        const wrapped = await timed('wrap', () => wrapInLayers(plaintext, aad, layers))
        // What is sealed under a key that cannot be opened again is lost: one more round trip, once in a data key's life.
        const opened = await timed('unwrap', () => openLayers(wrapped, aad, keys.find(store)))
        if (!plaintext.equals(opened))
          throw new AppError('internal', 'A new data key did not open again; it was thrown away.')
        return { plaintext, wrapped }
      })
    },
    unwrap: (wrapped, use) =>
      link.use(async (store) => {
        const opened = await timed('unwrap', () => openLayers(wrapped, rowOf(use), keys.find(store)))
        if (opened.length !== dataKeyBytes) throw doesNotOpen('it is no data key')
        return Buffer.from(opened)
      })
  }
}

/** What every layer is bound to. */
function rowOf({ context, tenant }: DataKeyUse): WrappedDataKey['aad'] {
  return { table: 'data_keys', row: context, tenant: tenant ?? null }
}
