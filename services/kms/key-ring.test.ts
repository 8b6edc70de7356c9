import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { openPool } from '../../lib/database/pool.ts'
import { plantHalfPair } from '../../sandbox/luna/half-pair.ts'
import { newDatabase, type TestDatabase } from '../testing/database.ts'
import { openKeyRing } from './key-ring.ts'
import { type KeyStoreLink, linkKeyStore, type OpenKeyStore } from './key-store-link.ts'
import { newToken } from './testing.ts'

let database: TestDatabase
let pool: ReturnType<typeof openPool>
let link: KeyStoreLink
let made = 0
let token: Awaited<ReturnType<typeof newToken>>

before(async () => {
  token = await newToken('gemalto-safenet')
  database = await newDatabase('kms')
  pool = openPool(await database.loginOf('kms'))
  link = await linkKeyStore({
    open: async () => counting(await token.open()),
    prove: async () => {},
    log: pino({ level: 'silent' }),
    opened: () => {},
    pinRejected: () => {}
  })
})
after(async () => {
  await link?.close()
  await pool?.end()
})

test('a key is made once, and whoever asks again gets the same one', async () => {
  const ring = openKeyRing(pool, link)
  const first = await ring.ensure('tenant-ca', 'Example', 'EC-P256')
  const again = await ring.ensure('tenant-ca', 'Example', 'EC-P256')
  assert.equal(first.state, 'active')
  assert.ok(first.publicKey)
  assert.deepEqual(again, { ...first, state: 'active' })
  assert.equal(made, 1)
})

test('ten who ask at once get one key', async () => {
  const before = made
  const ring = openKeyRing(pool, link)
  const keys = await Promise.all(Array.from({ length: 10 }, () => ring.ensure('tenant', 'Crowd', 'AES-256')))
  assert.equal(new Set(keys.map((key) => key.id)).size, 1)
  assert.equal(made, before + 1)
})

for (const [when, tokenHasIt] of [
  ['before the token makes the key', false],
  ['after the token has made it', true]
] as const) {
  test(`a KMS that is killed ${when} leaves an intent, and the next one finishes it with the same id`, async () => {
    const tenant = `Killed-${tokenHasIt}`
    const before = made
    const killed: KeyStoreLink = {
      ...link,
      use: (work, withinMs) =>
        link.use((store) => {
          const createKey: OpenKeyStore['createKey'] = async (spec) => {
            if (tokenHasIt) await store.createKey(spec)
            throw new Error('killed')
          }
          return work({ ...store, createKey })
        }, withinMs)
    }
    await assert.rejects(openKeyRing(pool, killed).ensure('tenant-ca', tenant, 'EC-P256'), /killed/)
    const ring = openKeyRing(pool, link)
    const intent = (await ring.list()).find((key) => key.tenant === tenant)
    assert.equal(intent?.state, 'intent')
    const finished = await ring.ensure('tenant-ca', tenant, 'EC-P256')
    assert.deepEqual([finished.id, finished.state], [intent.id, 'active'])
    assert.equal(made, before + 1)
    assert.equal((await ring.list()).filter((key) => key.tenant === tenant).length, 1)
  })
}

for (const [when, tokenHasIt] of [
  ['before the token makes it', false],
  ['after the token has made it', true]
] as const) {
  test(`a KMS that is killed ${when} leaves the old version active, and the next try makes the same new one`, async () => {
    const tenant = `Rotated-${tokenHasIt}`
    const ring = openKeyRing(pool, link)
    const first = await ring.ensure('tenant', tenant, 'AES-256')
    const killed: KeyStoreLink = {
      ...link,
      use: (work, withinMs) =>
        link.use(async (store) => {
          if (tokenHasIt) await work(store)
          throw new Error('killed')
        }, withinMs)
    }
    await assert.rejects(
      openKeyRing(pool, killed).next(first, async () => {}),
      /killed/
    )
    assert.equal((await ring.active('tenant', tenant)).id, first.id)
    const intent = (await ring.list()).find((key) => key.tenant === tenant && key.state === 'intent')
    const made = await ring.next(first, async (next) => next)
    assert.deepEqual([made?.id, made?.version, made?.state], [intent?.id, 2, 'active'])
    assert.match(String(made?.checkValue), /^[0-9a-f]{6}$/)
    const versions = (await ring.list()).filter((key) => key.tenant === tenant)
    assert.deepEqual(
      versions.map(({ id, state }) => [id, state]),
      [
        [made?.id, 'active'],
        [first.id, 'retired']
      ]
    )
    // Who comes late with the old version makes nothing.
    assert.equal(await ring.next(first, async (next) => next), null)
  })
}

for (const half of ['public', 'private'] as const) {
  test(`a kill inside C_GenerateKeyPair that left the ${half} half only is got past, with the same id`, async () => {
    const tenant = `Half-${half}`
    const killed: KeyStoreLink = { ...link, use: () => Promise.reject(new Error('killed')) }
    await assert.rejects(openKeyRing(pool, killed).ensure('tenant-ca', tenant, 'EC-P256'), /killed/)
    const ring = openKeyRing(pool, link)
    const intent = (await ring.list()).find((key) => key.tenant === tenant)
    assert.equal(intent?.state, 'intent')
    await plantHalfPair(token.config, token.pin, intent.id, half)
    const finished = await ring.ensure('tenant-ca', tenant, 'EC-P256')
    assert.deepEqual([finished.id, finished.state], [intent.id, 'active'])
    assert.equal((await link.use((store) => store.findKey(intent.id)))?.algorithm, 'EC-P256')
  })
}

test('another algorithm than the one that there is is refused', async () => {
  const ring = openKeyRing(pool, link)
  await ring.ensure('tenant', 'Fixed', 'AES-256')
  await assert.rejects(ring.ensure('tenant', 'Fixed', 'EC-P256'), { code: 'conflict' })
})

test('a key that the token has lost is not made again behind our back', async () => {
  const ring = openKeyRing(pool, link)
  const { id } = await ring.ensure('tenant', 'Gone', 'AES-256')
  await link.use((store) => store.destroyKey(id))
  await assert.rejects(ring.ensure('tenant', 'Gone', 'AES-256'), /no longer in the key store/)
})

test('a certificate is made once, however many ask for it', async () => {
  const ring = openKeyRing(pool, link)
  const { id } = await ring.ensure('tenant-ca', 'Certified', 'EC-P256')
  let issued = 0
  const issue = async () => Buffer.from(`certificate ${++issued}`)
  const certificates = await Promise.all(Array.from({ length: 5 }, () => ring.certified(id, issue)))
  assert.deepEqual(new Set(certificates.map(String)), new Set(['certificate 1']))
})

function counting(store: OpenKeyStore): OpenKeyStore {
  return {
    ...store,
    createKey: (spec) => {
      made += 1
      return store.createKey(spec)
    }
  }
}
