import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { openKeyStore } from '../../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { plantHalfPair } from '../../../sandbox/luna/half-pair.ts'
import { createLunaToken } from '../../../sandbox/luna/token.ts'
import { freshName } from '../../../sandbox/testing.ts'
import { type ApplyWorld, dir, newApplyWorld } from '../deploy-testing.ts'
import { intendKey } from './key-rows.ts'
import { ensureKey, ensureServiceCa } from './own-keys.ts'

const pin = 'a long enough password'
let world: ApplyWorld

before(async () => {
  world = await newApplyWorld()
})

async function keyStoreOf(profile: KeyStoreConfig['profile']): Promise<KeyStoreConfig> {
  const folder = `${dir}/${freshName('token')}`
  if (profile === 'nss') return { profile, folder }
  const { module, confPath, slot, label } = await createLunaToken(folder, { pin, soPin: 'so-password' })
  return { profile, module, confPath, slot, partition: label }
}

for (const profile of ['gemalto-safenet', 'nss'] as const) {
  for (const half of ['public', 'private'] as const) {
    test(`${profile}: a kill inside C_GenerateKeyPair that left the ${half} half only is got past`, async () => {
      await world.database.query('DELETE FROM kms_keys')
      const config = await keyStoreOf(profile)
      const open = () => openKeyStore(config, pin, { guard: openPinGuard(world.stateDir), create: profile === 'nss' })
      await (await open()).close() // an NSS folder gets its password
      const wanted = { algorithm: 'EC-P256', label: 'keyscaler service CA' } as const
      const { id } = await intendKey(world.database, 'service-ca', wanted)
      await plantHalfPair(config, pin, id, half)

      const store = await open()
      try {
        const ca = await ensureServiceCa(world.database, store, 'a1b2c3d4')
        assert.equal(ca.key.id, id)
        assert.equal(ca.certificate.verify(ca.certificate.publicKey), true)
        const [rows] = await world.database.query<RowDataPacket[]>('SELECT id, state, public_key FROM kms_keys')
        assert.deepEqual(
          rows.map((row) => [row.id, row.state]),
          [[id, 'active']]
        )
        const kept = createPublicKey({ key: rows[0]?.public_key, format: 'der', type: 'spki' })
        assert.ok(kept.equals(await store.publicKey(ca.key)))
      } finally {
        await store.close()
      }
    })
  }
}

test('half of a key that was active is never destroyed: it is told', async () => {
  await world.database.query('DELETE FROM kms_keys')
  const config = await keyStoreOf('gemalto-safenet')
  const wanted = { algorithm: 'EC-P256', label: 'keyscaler service CA' } as const
  const { id } = await intendKey(world.database, 'service-ca', wanted)
  await world.database.execute("UPDATE kms_keys SET state = 'active' WHERE id = ?", [id])
  await plantHalfPair(config, pin, id, 'private')
  const store = await openKeyStore(config, pin, { guard: openPinGuard(world.stateDir) })
  try {
    await assert.rejects(ensureKey(world.database, store, 'service-ca'), { code: 'conflict' })
    await assert.rejects(store.findKey(id), /0 public halves/)
  } finally {
    await store.close()
  }
})
