/**
 * A data key in its layers: AES-GCM in the token, each layer bound to the row it is for, to its key and to its mechanism. The
 * same for re-wrapping, where the layers that come off and those that go on may be in two key stores (docs/decisions/0015).
 */
import { AppError } from '../../lib/errors/app-error.ts'
import type { EncryptsData, KeyRef, Sealed } from '../../lib/keystore/keystore.ts'
import type {
  FirstWrappedDataKey,
  StoredDataKey,
  WrappedDataKey,
  WrappingLayer
} from '../../lib/kms-client/kms-client.ts'

type Bound = WrappedDataKey['aad']

/** A key that wraps, where it is. */
export interface WrappingKey {
  readonly id: string
  readonly version: number
  readonly purpose: 'master' | 'tenant'
  /** null: the install's. */
  readonly tenant: string | null
  readonly store: EncryptsData
}

/** @throws AppError when it is none that may open layers */
export type FindWrappingKey = (id: string) => Promise<WrappingKey>

const mechanism = 'CKM_AES_GCM'

/** @param keys from the inside out: the tenant's where there is one, the master key last */
export async function wrapInLayers(
  plaintext: Uint8Array,
  aad: Bound,
  keys: readonly WrappingKey[]
): Promise<WrappedDataKey> {
  return addLayers({ aad, layers: [], bytes: plaintext }, keys)
}

/** @throws AppError invalid-input for another row or tenant, changed bytes, or a layer of a key that may not be there */
export async function openLayers(stored: StoredDataKey, aad: Bound, find: FindWrappingKey): Promise<Uint8Array> {
  return (await peel(stored, aad, find, () => false)).bytes
}

/**
 * Takes off the layers down to the innermost that an old key made, and puts those of the active keys in their place: what is
 * inside of a tenant's layer is not seen when only the master key changes.
 */
export async function rewrap(
  stored: StoredDataKey,
  aad: Bound,
  change: {
    readonly isOld: (key: string) => boolean
    readonly find: FindWrappingKey
    readonly active: (of: Pick<WrappingKey, 'purpose' | 'tenant'>) => Promise<WrappingKey>
  }
): Promise<WrappedDataKey> {
  const innermost = layersOf(stored).findIndex((layer) => change.isOld(layer.key))
  const peeled = await peel(stored, aad, change.find, (left) => left <= innermost)
  const keys = await Promise.all(peeled.taken.toReversed().map(change.active))
  const anew = await addLayers({ aad, layers: peeled.left, bytes: peeled.bytes }, keys)
  // It takes the place of the only one there is: proved before that.
  const known = new Map(keys.map((key) => [key.id, key]))
  const again = await peel(
    anew,
    aad,
    async (id) => known.get(id) ?? change.find(id),
    (left) => left === peeled.left.length
  )
  if (Buffer.compare(again.bytes, peeled.bytes) !== 0)
    throw new AppError('internal', 'A re-wrapped data key does not open.')
  return anew
}

interface Partly {
  readonly aad: Bound
  readonly layers: readonly WrappingLayer[]
  readonly bytes: Uint8Array
}

async function addLayers(inside: Partly, keys: readonly WrappingKey[]): Promise<WrappedDataKey> {
  let { layers, bytes } = inside
  for (const { id, version, store } of keys) {
    const named = { key: id, keyVersion: version, mechanism } as const
    const sealed = await store.encrypt(refOf(id), bytes, bindingOf(inside.aad, named))
    layers = [...layers, { ...named, ivMode: sealed.mode, iv: sealed.iv }]
    bytes = Buffer.from(sealed.data, 'base64')
  }
  return { v: 2, aad: inside.aad, layers, data: Buffer.from(bytes).toString('base64') }
}

async function peel(
  stored: StoredDataKey,
  aad: Bound,
  find: FindWrappingKey,
  enough: (layersLeft: number) => boolean
): Promise<{ bytes: Uint8Array; left: readonly WrappingLayer[]; taken: WrappingKey[] }> {
  const first = isFirst(stored)
  // A first one knows no tenants.
  refuseOtherRow(first ? { ...aad, tenant: null } : stored.aad, aad)
  let left = layersOf(stored)
  let data = stored.data
  let bytes: Uint8Array = Buffer.from(data, 'base64')
  const taken: WrappingKey[] = []
  for (let layer = left.at(-1); layer !== undefined && !enough(left.length); layer = left.at(-1)) {
    const key = await find(layer.key)
    refuseMisplaced(key, layer, { outermost: taken.length === 0, tenant: aad.tenant })
    const sealed: Sealed = { mode: layer.ivMode, iv: layer.iv, data }
    const binding = first ? firstBinding(aad) : bindingOf(aad, layer)
    bytes = await key.store.decrypt(refOf(key.id), sealed, binding)
    data = Buffer.from(bytes).toString('base64')
    left = left.slice(0, -1)
    taken.push(key)
  }
  return { bytes, left, taken }
}

/** The master key is outside, and inside of it at most the key of the very tenant: no other key opens anything here. */
function refuseMisplaced(
  key: WrappingKey,
  layer: WrappingLayer,
  at: { readonly outermost: boolean; readonly tenant: string | null }
): void {
  const fits = at.outermost
    ? key.purpose === 'master'
    : key.purpose === 'tenant' && key.tenant !== null && key.tenant === at.tenant
  if (!fits) throw doesNotOpen(`its layers are not those of a ${at.tenant === null ? 'data key' : "tenant's data key"}`)
  if (key.version !== layer.keyVersion) throw doesNotOpen('it names another version of its key')
}

function refuseOtherRow(stored: Bound, asked: Bound): void {
  if (stored.table === asked.table && stored.row === asked.row && stored.tenant === asked.tenant) return
  throw doesNotOpen('it belongs to another row or tenant')
}

function isFirst(stored: StoredDataKey): stored is FirstWrappedDataKey {
  return !('v' in stored)
}

function layersOf(stored: StoredDataKey): readonly WrappingLayer[] {
  if (!isFirst(stored)) return stored.layers
  // There was one version only.
  return [{ key: stored.masterKey, keyVersion: 1, mechanism, ivMode: stored.mode, iv: stored.iv }]
}

/** JSON with the members in this order: nothing in a name can be taken for a border. */
function bindingOf(
  { table, row, tenant }: Bound,
  layer: Pick<WrappingLayer, 'key' | 'keyVersion' | 'mechanism'>
): Buffer {
  return Buffer.from(JSON.stringify(['data-key', 2, table, row, tenant, layer.key, layer.keyVersion, layer.mechanism]))
}

/** A first one is bound to its context alone. */
function firstBinding({ row }: Bound): Buffer {
  return Buffer.from(`data-key/${row}`)
}

function refOf(id: string): KeyRef {
  return { id, algorithm: 'AES-256', label: '' }
}

export function doesNotOpen(why: string): AppError {
  return new AppError('invalid-input', `The data key does not open: ${why}.`)
}
