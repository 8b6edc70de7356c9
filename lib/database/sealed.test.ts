import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type SealedText, seal, sealedText, unseal } from './sealed.ts'

const key = { context: 'participants/acme', bytes: randomBytes(32) }
const place = { table: 'participants', row: '7', tenant: 'acme' }

test('what is sealed opens in its place, and its envelope says key, mechanism, IV mode and place', () => {
  const sealed = seal(key, place, 'a secret')
  assert.equal(unseal(key, place, sealed), 'a secret')
  assert.deepEqual(sealedText.parse(JSON.parse(JSON.stringify(sealed))), sealed)
  const { iv, data, ...named } = sealed
  assert.deepEqual(named, {
    v: 2,
    key: 'participants/acme',
    mechanism: 'AES-256-GCM',
    ivMode: 'caller-iv',
    aad: place
  })
  assert.ok(!Buffer.from(data, 'base64').includes('a secret'))
  assert.equal(Buffer.from(iv, 'base64').length, 12)
})

test('it opens in no other row, table or tenant, under no other key, and with no changed bit', () => {
  const sealed = seal(key, place, 'a secret')
  const refused = { code: 'invalid-input' }
  for (const other of [
    { row: '8' },
    { table: 'answers' },
    { tenant: 'beta' },
    { tenant: null },
    { table: 'participants/7', row: '' }
  ]) {
    assert.throws(() => unseal(key, { ...place, ...other }, sealed), refused)
  }
  assert.throws(() => unseal({ ...key, bytes: randomBytes(32) }, place, sealed), refused)
  assert.throws(() => unseal({ ...key, context: 'participants/beta' }, place, sealed), refused)
  const bytes = Buffer.from(sealed.data, 'base64')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    assert.throws(() => unseal(key, place, { ...sealed, data: changed.toString('base64') }), refused)
  }
})

test('what stands beside a value does not decide: who moves it and says so in the envelope is refused too', () => {
  const moved = { ...seal(key, place, 'a secret'), aad: { ...place, row: '8' } } as SealedText
  assert.throws(() => unseal(key, { ...place, row: '8' }, moved), { code: 'invalid-input' })
})

test('what an older install has sealed still opens, in its place only', () => {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.bytes, iv).setAAD(Buffer.from('participants/7/acme'))
  const data = Buffer.concat([cipher.update('old'), cipher.final(), cipher.getAuthTag()])
  const sealed = { v: 1, iv: iv.toString('base64'), data: data.toString('base64') } as const
  assert.equal(unseal(key, place, sealed), 'old')
  assert.throws(() => unseal(key, { ...place, row: '8' }, sealed), { code: 'invalid-input' })
})
