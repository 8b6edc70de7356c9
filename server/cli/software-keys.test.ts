/** An install whose keys are in a software key store that it made itself: what it exports, and `keyscaler destroy`. */
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import { newPassword } from '../../sandbox/secrets.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

describe('an install with a software key store', { concurrency: 1, timeout: 120_000 }, () => {
  let world: InstallWorld
  let folder: string
  const password = newPassword()
  before(async () => {
    world = await openInstallWorld()
    folder = join(world.dir, 'new', 'software-keys')
  })
  after(() => world.close())

  async function installed(nssPassword: string): Promise<void> {
    const { kmsHost } = world.answers.kms
    const kms = { keyStore: 'nss', nssFolder: folder, nssPassword, nssPasswordAgain: nssPassword, kmsHost }
    const { code, stderr } = await world.apply(world.answersFile({ kms }), '--exit').ended
    assert.equal(code, 0, stderr)
  }
  async function destroyed(...flags: readonly string[]): Promise<string> {
    const { code, stderr } = await world.destroy('--yes', ...flags).ended
    assert.equal(code, 0, stderr)
    return stderr
  }

  test('destroy leaves the folder with its keys, and says so, unless it is named', async () => {
    await installed(password)
    assert.match(
      await destroyed(),
      new RegExp(`key-store ${folder}: left: --delete-keys "KeyScaler NSS" was not given`)
    )
    assert.ok(existsSync(join(folder, 'key4.db')))
    await installed(password)
  })

  test('what it exports plans no change, as that of an HSM does', async () => {
    const { code, stdout, stderr } = await world.run('config', 'export').ended
    assert.equal(code, 0, stderr)
    const exported = join(world.dir, 'exported.yaml')
    writeFileSync(exported, stdout, { mode: 0o600 })
    assert.doesNotMatch(stdout, new RegExp(password))
    const plan = await world.plan(exported, '--output', 'json').ended
    assert.equal(plan.code, 0, plan.stderr)
    const { changed, items } = JSON.parse(plan.stdout)
    assert.deepEqual([changed, items.filter(({ action }: { action: string }) => action !== 'keep')], [false, []])
  })

  test('destroy leaves a folder that it did not make', async () => {
    assert.match(
      await destroyed('--delete-keys', 'KeyScaler NSS'),
      new RegExp(`key-store ${folder}: left: it was there before this install`)
    )
    assert.ok(existsSync(join(folder, 'key4.db')))
  })

  test('destroy takes the folder that it made away with its keys, and another install may begin there with another password', async () => {
    folder = join(world.dir, 'newer', 'software-keys')
    await installed(newPassword())
    assert.match(await destroyed('--delete-keys', 'KeyScaler NSS'), /^Nothing is left\.$/m)
    assert.equal(existsSync(folder), false)
    await installed(password)
  })

  test('destroy leaves the folder when somebody else has a key in it', async () => {
    const guard = openPinGuard(world.stateDir)
    const store = await openKeyStore({ profile: 'nss', folder }, password, { guard })
    await store.createKey({ id: '0'.repeat(32), algorithm: 'AES-256', label: 'of somebody else' })
    await store.close()
    assert.match(
      await destroyed('--delete-keys', 'KeyScaler NSS'),
      new RegExp(`key-store ${folder}: left: keys that are not of this install are in it`)
    )
    assert.ok(existsSync(join(folder, 'key4.db')))
  })
})
