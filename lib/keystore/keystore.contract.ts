/** What every key store must do, run over each of them by keystore.test.ts. */
import assert from 'node:assert/strict'
import { randomBytes, verify } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { EncryptsData, KeyAlgorithm, KeyRef, KeyStore } from './keystore.ts'
import { hashFor } from './public-key.ts'

export interface Contender {
  readonly name: string
  /** Opens the same store each time. */
  readonly open: () => Promise<KeyStore & EncryptsData>
  readonly prepare: () => Promise<void>
  readonly cleanUp: () => Promise<void>
}

const newId = () => randomBytes(16).toString('hex')
const data = Buffer.from('to be signed')
const aad = Buffer.from('table devices, row 7, tenant a')

export function keyStoreContract(contender: Contender): void {
  describe(`the key store contract over ${contender.name}`, () => {
    let store: KeyStore & EncryptsData
    before(async () => {
      await contender.prepare()
      store = await contender.open()
    })
    after(async () => {
      await store.close()
      await contender.cleanUp()
    })

    it('names its token', () => {
      assert.notEqual(store.token.label, '')
      assert.notEqual(store.token.serial, '')
      assert.match(store.token.firmware, /^\d+\.\d+$/)
    })

    const signing: readonly KeyAlgorithm[] = ['EC-P256', 'EC-P384', 'RSA-3072']
    for (const algorithm of signing) {
      it(`makes a ${algorithm} key whose signatures verify with its public key`, async () => {
        const ref = await store.createKey({ id: newId(), algorithm, label: `signs ${algorithm}` })
        assert.equal(ref.algorithm, algorithm)
        const signature = await store.sign(ref, data)
        const publicKey = await store.publicKey(ref)
        assert.equal(verify(hashFor(algorithm), data, publicKey, signature), true)
        assert.equal(verify(hashFor(algorithm), Buffer.from('other'), publicKey, signature), false)
        assert.deepEqual(await store.findKey(ref.id), ref)
      })
    }

    describe('an AES-256 key', () => {
      let key: KeyRef
      before(async () => {
        key = await store.createKey({ id: newId(), algorithm: 'AES-256', label: 'master key' })
      })

      it('encrypts and decrypts, a fresh IV each time', async () => {
        const secret = randomBytes(300)
        const [one, two] = await Promise.all([store.encrypt(key, secret, aad), store.encrypt(key, secret, aad)])
        assert.notEqual(one.data, two.data)
        assert.deepEqual(Buffer.from(await store.decrypt(key, one, aad)), secret)
        assert.deepEqual(Buffer.from(await store.decrypt(key, two, aad)), secret)
      })

      it('takes no associated data too', async () => {
        const nothing = new Uint8Array()
        const sealed = await store.encrypt(key, data, nothing)
        assert.deepEqual(Buffer.from(await store.decrypt(key, sealed, nothing)), data)
      })

      it('refuses other data, context, key and impossible lengths, and still works afterwards', async () => {
        const sealed = await store.encrypt(key, data, aad)
        const bytes = Buffer.from(sealed.data, 'base64')
        bytes[0] = (bytes[0] ?? 0) ^ 1
        const other = await store.createKey({ id: newId(), algorithm: 'AES-256', label: 'other' })
        const refused = { code: 'invalid-input' }
        await assert.rejects(store.decrypt(key, { ...sealed, data: bytes.toString('base64') }, aad), refused)
        await assert.rejects(store.decrypt(key, sealed, Buffer.from('another row')), refused)
        await assert.rejects(store.decrypt(other, sealed, aad), refused)
        await assert.rejects(store.decrypt(key, { ...sealed, data: 'AAAA' }, aad), refused)
        await assert.rejects(store.encrypt(key, new Uint8Array(), aad), refused)
        assert.deepEqual(Buffer.from(await store.decrypt(key, sealed, aad)), data)
      })

      it('has a check value that stays, and another than the next key has', async () => {
        const value = await store.checkValue(key)
        assert.match(value, /^[0-9a-f]{6}$/)
        assert.equal(await store.checkValue(key), value)
        const other = await store.createKey({ id: newId(), algorithm: 'AES-256', label: 'another' })
        assert.notEqual(await store.checkValue(other), value)
        const signs = await store.createKey({ id: newId(), algorithm: 'EC-P256', label: 'signs' })
        await assert.rejects(store.checkValue(signs), { code: 'invalid-input' })
      })

      it('neither signs nor has a public half', async () => {
        await assert.rejects(store.sign(key, data), { code: 'invalid-input' })
        await assert.rejects(store.publicKey(key), { code: 'invalid-input' })
      })

      it('is there with its label after the store was closed and opened again', async () => {
        const sealed = await store.encrypt(key, data, aad)
        await store.close()
        store = await contender.open()
        assert.deepEqual(await store.findKey(key.id), key)
        assert.deepEqual(Buffer.from(await store.decrypt(key, sealed, aad)), data)
      })
    })

    it('refuses to make a key whose id is taken, and keeps the old one', async () => {
      const spec = { id: newId(), algorithm: 'EC-P256', label: 'first' } as const
      await store.createKey(spec)
      await assert.rejects(store.createKey({ ...spec, label: 'second' }), { code: 'conflict' })
      assert.equal((await store.findKey(spec.id))?.label, 'first')
    })

    it('finds no key that was never made, and uses none', async () => {
      const ref = { id: newId(), algorithm: 'EC-P256', label: 'never' } as const
      assert.equal(await store.findKey(ref.id), null)
      await assert.rejects(store.sign(ref, data), { code: 'not-found' })
    })

    it('refuses an id that is not 16 bytes in hexadecimal', async () => {
      await assert.rejects(store.findKey('kek'), { code: 'invalid-input' })
      await assert.rejects(store.createKey({ id: '00', algorithm: 'AES-256', label: 'x' }), { code: 'invalid-input' })
    })

    it('destroys both halves of a key, once', async () => {
      const ref = await store.createKey({ id: newId(), algorithm: 'EC-P256', label: 'short-lived' })
      assert.equal(await store.destroyKey(ref.id), true)
      assert.equal(await store.findKey(ref.id), null)
      assert.equal(await store.destroyKey(ref.id), false)
    })

    it('draws random bytes, within bounds', async () => {
      const drawn = await store.random(4096)
      assert.equal(drawn.length, 4096)
      assert.notDeepEqual(await store.random(32), await store.random(32))
      await assert.rejects(store.random(0), { code: 'invalid-input' })
      await assert.rejects(store.random(4097), { code: 'invalid-input' })
    })

    it('answers a ping', async () => {
      await store.ping()
    })

    it('serves many calls at once in order of asking', async () => {
      const ref = await store.createKey({ id: newId(), algorithm: 'EC-P256', label: 'busy' })
      const messages = Array.from({ length: 200 }, (_, index) => Buffer.from(`message ${index}`))
      const signatures = await Promise.all(messages.map((message) => store.sign(ref, message)))
      const publicKey = await store.publicKey(ref)
      assert.ok(signatures.every((signature, index) => verify('sha256', messages[index] ?? data, publicKey, signature)))
    })

    it('answers nothing after it was closed', async () => {
      const other = await contender.open()
      await other.close()
      await assert.rejects(other.ping(), { code: 'key-store-unavailable' })
      await other.close()
    })
  })
}
