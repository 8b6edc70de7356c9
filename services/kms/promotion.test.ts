/** From software keys to an HSM (docs/decisions/0016): its part of data keys, over the real NSS and the stand-in partition. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { EncryptsData } from '../../lib/keystore/keystore.ts'
import type { StoredDataKey, WrappedDataKey } from '../../lib/kms-client/kms-client.ts'
import { openLayers, rewrap, type WrappingKey, wrapInLayers } from './envelope.ts'
import type { OpenKeyStore } from './key-store-link.ts'
import { newToken } from './testing.ts'

let software: OpenKeyStore
let hsm: OpenKeyStore
const keys = new Map<string, WrappingKey>()

before(async () => {
  const [nss, luna] = await Promise.all([newToken('nss'), newToken('gemalto-safenet')])
  software = await nss.open()
  hsm = await luna.open()
  for (const [version, store] of [
    [1, software],
    [2, hsm]
  ] as const) {
    for (const tenant of [null, 'Acme', 'Beta']) {
      const purpose = tenant === null ? 'master' : 'tenant'
      const id = randomBytes(16).toString('hex')
      await store.createKey({ id, algorithm: 'AES-256', label: `${purpose} v${version}` })
      keys.set(id, { id, version, purpose, tenant, store })
    }
  }
})
after(() => Promise.all([software.close(), hsm.close()]))

const keyOf = (version: number, tenant: string | null) => {
  const key = [...keys.values()].find((one) => one.version === version && one.tenant === tenant)
  assert.ok(key)
  return key
}
const find = async (id: string) => {
  const key = keys.get(id)
  assert.ok(key)
  return key
}
const old = new Set<string>()
const change = {
  isOld: (id: string) => old.has(id),
  find,
  active: async ({ tenant }: { tenant: string | null }) => keyOf(2, tenant)
}

test('every data key moves from the software store to the HSM, each readable all the way, and opens with the old store closed', async () => {
  for (const { id, version } of keys.values()) if (version === 1) old.add(id)
  const rows: { aad: WrappedDataKey['aad']; plaintext: Buffer }[] = [null, 'Acme', 'Beta', 'Acme'].map(
    (tenant, index) => ({ aad: { table: 'data_keys', row: `row-${index}`, tenant }, plaintext: randomBytes(32) })
  )
  const table: StoredDataKey[] = []
  for (const { aad, plaintext } of rows) {
    const layers = [...(aad.tenant === null ? [] : [keyOf(1, aad.tenant)]), keyOf(1, null)]
    table.push(await wrapInLayers(plaintext, aad, layers))
  }
  const first = { table: 'data_keys', row: 'first', tenant: null } as const
  const sealed = await software.encrypt(
    { id: keyOf(1, null).id, algorithm: 'AES-256', label: '' },
    Buffer.alloc(32, 7),
    Buffer.from('data-key/first')
  )
  rows.push({ aad: first, plaintext: Buffer.alloc(32, 7) })
  table.push({ ...sealed, masterKey: keyOf(1, null).id })

  const everyOneOpens = async () => {
    for (const [index, { aad, plaintext }] of rows.entries()) {
      const stored = table[index]
      assert.ok(stored)
      assert.deepEqual(Buffer.from(await openLayers(stored, aad, find)), plaintext)
    }
  }
  for (const [index, { aad }] of rows.entries()) {
    const stored = table[index]
    assert.ok(stored)
    table[index] = await rewrap(stored, aad, change)
    await everyOneOpens()
  }
  for (const stored of table) {
    assert.ok('v' in stored)
    assert.ok(stored.layers.every(({ key, keyVersion }) => keys.get(key)?.store === hsm && keyVersion === 2))
  }
  await software.close()
  await everyOneOpens()
})

test('a re-wrap that would not open again is not given back, so the old one stays', async () => {
  const aad = { table: 'data_keys', row: 'row', tenant: null } as const
  const stored = await wrapInLayers(randomBytes(32), aad, [keyOf(2, null)])
  const lying: EncryptsData = {
    encrypt: (key, _plaintext, bound) => hsm.encrypt(key, randomBytes(32), bound),
    decrypt: hsm.decrypt
  }
  const next = { ...keyOf(2, null), store: lying }
  await assert.rejects(rewrap(stored, aad, { isOld: () => true, find, active: async () => next }), /does not open/)
})
