import assert from 'node:assert/strict'
import { chmod, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { readLunaState, setLunaFaults } from '../../sandbox/luna/state.ts'
import { dir } from '../testing/test-file.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

// The three stories have a token each, and wait most of the time: side by side.
describe('the KMS on a bad day', { concurrency: true }, () => {
  describe('in service', { concurrency: 1 }, inService)
  describe('at its start', { concurrency: 1 }, atItsStart)
  describe('with NSS', withNss)
})

function inService(): void {
  let install: TestInstall
  const logins = async () => (await readLunaState(install.token.folder)).logins
  const faults = (rules: string) => setLunaFaults(install.token.folder, rules)
  before(async () => {
    install = await newInstall('gemalto-safenet')
  })

  test('the hsm-agent is killed: calls are refused, then served again, by the same KMS and with one login', async () => {
    const kms = await install.start()
    await kms.listening()
    const dae = kms.client('dae')
    const { wrapped } = await dae.newDataKey('kept')
    const loginsBefore = await logins()
    for (let time = 1; time <= 3; time++) {
      await killAgent(kms)
      const { refused, backMs } = await outage(dae)
      assert.equal(refused?.code, 'service-unavailable')
      assert.ok(backMs < 5000, `back after ${backMs} ms`)
      assert.equal(await logins(), loginsBefore + time)
    }
    assert.equal((await dae.unwrapDataKey(wrapped, 'kept')).length, 32)
    assert.equal(kms.child.exitCode, null)
    await stop(kms)
  })

  test('the token is lost in the middle of a call and comes back: served again without a restart', async () => {
    const kms = await install.start()
    await kms.listening()
    const dae = kms.client('dae')
    await faults('*=0x32') // CKR_DEVICE_REMOVED, from every function
    const { code } = await refusal(dae)
    assert.equal(code, 'service-unavailable')
    assert.equal((await dae.health()).ready, false)
    const loginsBefore = await logins()
    await kms.said(/the key store cannot be opened/)
    assert.equal(await logins(), loginsBefore)
    const returned = performance.now()
    await faults('')
    await outage(dae)
    assert.ok(performance.now() - returned < 5000)
    await stop(kms)
  })

  test('a token that freezes: every call is answered within 5 s, readiness too, and it is back when the token is', async () => {
    const kms = await install.start()
    await kms.listening()
    const [dae, wizard] = [kms.client('dae'), kms.client('wizard')]
    await faults('C_GenerateRandom=hang')
    const started = performance.now()
    const [first, health] = await Promise.all([refusal(dae), unready(wizard)])
    assert.equal(first.code, 'service-unavailable')
    assert.ok(performance.now() - started < 5000)
    assert.match(health, /the token does not answer|lost/)
    await faults('')
    const { backMs } = await outage(dae)
    assert.ok(backMs < 6000, `back after ${backMs} ms`)
    await stop(kms)
  })

  test('the PIN is changed behind its back: one login is rejected, then it ends, sealed, with its own exit code', async () => {
    const kms = await install.start()
    await kms.listening()
    await faults('C_Login=0xA0') // CKR_PIN_INCORRECT; the stand-in does not count what a fault answers
    const loginsBefore = await logins()
    await killAgent(kms)
    assert.equal(await kms.ended, 78)
    await faults('')
    assert.equal(openPinGuard(dirname(install.token.pinGuard)).known(install.token.serial).failures, 1)
    // Started again by somebody, it does not send that PIN again, although it would be right now.
    const again = await install.start()
    assert.equal(await again.ended, 78)
    assert.equal(await logins(), loginsBefore)
    assert.ok(!kms.output().includes(install.token.pin))
  })
}

function atItsStart(): void {
  let install: TestInstall
  before(async () => {
    install = await newInstall('gemalto-safenet')
  })

  test('a wrong PIN at the start costs one login, however often it is started', async () => {
    const pinFile = join(dir, 'wrong-pin')
    await writePrivateFile(pinFile, 'not-the-password\n')
    const stateBefore = await readLunaState(install.token.folder)
    for (let time = 0; time < 3; time++) {
      const kms = await install.start({ pinFile })
      assert.equal(await kms.ended, 78)
      assert.ok(!kms.output().includes('not-the-password'))
    }
    const after = await readLunaState(install.token.folder)
    assert.deepEqual([after.logins - stateBefore.logins, after.failures], [1, 1])
  })

  test('a configuration is checked without touching the token, and every problem is named', async () => {
    const stateBefore = await readLunaState(install.token.folder)
    const good = await install.start({}, '--check-config')
    assert.equal(await good.ended, 0)
    const bad = await install.start({ masterKey: 7, nonsense: true, pinFile: 'pin' }, '--check-config')
    assert.equal(await bad.ended, 2)
    for (const problem of [/masterKey/, /nonsense/, /pinFile/]) assert.match(bad.output(), problem)
    assert.equal((await readLunaState(install.token.folder)).logins, stateBefore.logins)
  })

  test('a PIN file that others may read is refused before any login', async () => {
    const file = join(dir, 'open-pin')
    await writePrivateFile(file, install.token.pin)
    await chmod(file, 0o644)
    const stateBefore = await readLunaState(install.token.folder)
    const kms = await install.start({ pinFile: file })
    assert.notEqual(await kms.ended, 0)
    assert.match(kms.output(), /may be read by others/)
    assert.equal((await readLunaState(install.token.folder)).logins, stateBefore.logins)
  })

  test('a configuration of another install is refused before any login', async () => {
    const stateBefore = await readLunaState(install.token.folder)
    const kms = await install.start({ masterKey: 'a'.repeat(32) })
    assert.equal(await kms.ended, 1)
    assert.match(kms.output(), /The database belongs to the master key [0-9a-f]{32}, the configuration names a{32}/)
    assert.equal((await readLunaState(install.token.folder)).logins, stateBefore.logins)
  })

  test('a service CA certificate that is not that of the key in the token ends the start', async () => {
    const { keyId } = install.serviceCa
    const kms = await install.start({ serviceCa: { keyId, certificate: install.identity('dae').certificate } })
    assert.equal(await kms.ended, 1)
    assert.match(kms.output(), /service CA certificate is not that of the key/)
  })

  test('another key under the id of the master key ends the start, and one that is gone does, each in its own words', async () => {
    const config = await install.start({ masterKeyCheckValue: '000000' })
    assert.equal(await config.ended, 1)
    assert.match(config.output(), /is another master key: its check value is [0-9a-f]{6}, that of this install 000000/)
    const store = await install.token.open()
    await store.destroyKey(install.masterKey)
    const gone = await install.start()
    assert.equal(await gone.ended, 1)
    assert.match(gone.output(), new RegExp(`has no master key with the id ${install.masterKey}`))
    // As a token that was initialised again and filled by somebody who knew the id.
    await store.createKey({ id: install.masterKey, algorithm: 'AES-256', label: 'master' })
    await store.close()
    const other = await install.start()
    assert.equal(await other.ended, 1)
    assert.match(other.output(), /is another master key: its check value is/)
  })
}

function withNss(): void {
  test('NSS serves the same way, and readiness says that it is not HSM-protected', async () => {
    const install = await newInstall('nss')
    const kms = await install.start()
    await kms.listening()
    const { ready, detail } = await kms.client('wizard').health()
    assert.equal(ready, true)
    assert.match(detail, /software-only, not HSM-protected/)
    const dae = kms.client('dae')
    const { plaintext, wrapped } = await dae.newDataKey('nss')
    assert.deepEqual(await dae.unwrapDataKey(wrapped, 'nss'), plaintext)
    await stop(kms)
  })
}

/** The first refusal, without waiting for more than that. */
async function refusal(client: KmsClient): Promise<AppError> {
  for (;;) {
    try {
      await client.newDataKey('outage')
    } catch (thrown) {
      assert.ok(thrown instanceof AppError)
      return thrown
    }
  }
}

/** Asks until it is served; the first refusal that was met, and the time from the first question. */
async function outage(client: KmsClient): Promise<{ refused: AppError | undefined; backMs: number }> {
  const started = performance.now()
  let refused: AppError | undefined
  for (;;) {
    try {
      await client.newDataKey('outage')
      if (refused !== undefined || performance.now() - started > 500)
        return { refused, backMs: performance.now() - started }
    } catch (thrown) {
      assert.ok(thrown instanceof AppError)
      refused ??= thrown
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function unready(client: KmsClient): Promise<string> {
  for (;;) {
    const { ready, detail } = await client.health()
    if (!ready) return detail
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Its only child; the only way to end a library that hangs, and what a crash looks like. */
async function killAgent({ child: { pid } }: RunningKms): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const [agent, ...others] = children.trim().split(' ').map(Number)
  assert.ok(agent)
  assert.equal(others.length, 0)
  process.kill(agent, 'SIGKILL')
}

async function stop(kms: RunningKms): Promise<void> {
  const started = performance.now()
  kms.child.kill('SIGTERM')
  assert.equal(await kms.ended, 0)
  assert.ok(performance.now() - started < 5000)
}
