/** Which keys wrap data keys: the active ones what is new, older versions of them only open. */
import type { EncryptsData } from '../../lib/keystore/keystore.ts'
import { doesNotOpen, type FindWrappingKey, type WrappingKey } from './envelope.ts'
import type { KeyRing } from './key-ring.ts'
import type { RingKey } from './key-table.ts'

/** A wrapping key without its place. */
export type NamedWrappingKey = Omit<WrappingKey, 'store'>

export interface WrappingKeys {
  /** From the inside out. @throws AppError not-found when the tenant has no key */
  readonly active: (tenant: string | null) => Promise<readonly NamedWrappingKey[]>
  /** By id, in any version; a key of another purpose is none. */
  readonly find: (store: EncryptsData) => FindWrappingKey
}

export function openWrappingKeys(ring: KeyRing): WrappingKeys {
  /** Id, purpose, tenant and version of a key never change. */
  const known = new Map<string, NamedWrappingKey>()
  const named = async (id: string) => {
    const before = known.get(id)
    if (before !== undefined) return before
    const key = await ring.find(id)
    const wrapping = key === null ? null : asWrappingKey(key)
    if (wrapping === null) throw doesNotOpen(`it was wrapped by the key ${id}, which is none of this install's`)
    known.set(id, wrapping)
    return wrapping
  }
  return {
    active: async (tenant) => {
      const keys = [
        ...(tenant === null ? [] : [await ring.active('tenant', tenant)]),
        await ring.active('master', null)
      ]
      return keys.map(asWrappingKey).filter((key) => key !== null)
    },
    find: (store) => async (id) => ({ ...(await named(id)), store })
  }
}

/** Null for a key that wraps nothing: a CA's, one that signs, one that was never finished. */
function asWrappingKey({ id, version, purpose, tenant, state }: RingKey): NamedWrappingKey | null {
  if ((purpose !== 'master' && purpose !== 'tenant') || state === 'intent') return null
  return { id, version, purpose, tenant }
}
