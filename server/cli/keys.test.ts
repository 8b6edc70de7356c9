import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { copyFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { openDataKey } from '../../lib/kms-client/data-key.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import { newInstall, type RunningKms, type TestInstall } from '../../services/kms/testing.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { runFolder } from '../deploy/process/run-folder.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'ks-keys-'))
let install: TestInstall
let kms: RunningKms

before(async () => {
  install = await newInstall('gemalto-safenet')
  kms = await install.start()
  await kms.listening()
  // As the wizard leaves it: what was deployed, and its own identity.
  const { certificate, key, ca } = install.identity('wizard')
  const files = identityFiles(stateDir, 'wizard')
  await mkdir(dirname(files.certificate), { recursive: true })
  await Promise.all([copyFile(certificate, files.certificate), copyFile(key, files.key), copyFile(ca, files.ca)])
  const url = new URL(kms.address)
  const deployed = {
    listen: { host: url.hostname, port: Number(url.port) },
    address: kms.address,
    tls: { certificate: install.identity('kms').certificate },
    identity: { certificate: install.identity('kms').certificate, ca }
  }
  await writePrivateFile(runFolder(stateDir, 'kms').config, JSON.stringify(deployed))
})
after(() => {
  kms.child.kill('SIGTERM')
  rmSync(stateDir, { recursive: true, force: true })
})

function keyscaler(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const command = [join(import.meta.dirname, '../cli.mjs'), 'keys', ...args, '--state', stateDir]
  return new Promise((resolve) => {
    const child = execFile(process.execPath, command, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    )
    child.stdin?.end()
  })
}

async function listed(): Promise<readonly KmsKey[]> {
  return JSON.parse((await keyscaler('list', '--output', 'json')).stdout).keys
}

test('list prints every key, as a table and as JSON, and no key itself', async () => {
  const { code, stdout } = await keyscaler('list')
  assert.equal(code, 0)
  assert.match(stdout, /^ID +Purpose +Tenant +Version +State +Algorithm +Check value +Label\n/)
  assert.match(stdout, new RegExp(`^${install.masterKey} +master +- +v1 +active +AES-256 +[0-9a-f]{6} +master$`, 'm'))
  assert.deepEqual((await listed()).map(({ purpose }) => purpose).sort(), ['master', 'service-ca'])
})

test('rotate master makes a version, wraps anew, says what it did, and the old one is destroyed by its name only', async () => {
  const dae = kms.client('dae')
  const { pool } = install.database
  const before = await openDataKey(pool, dae, 'kept')
  const { code, stderr } = await keyscaler('rotate', 'master')
  assert.equal(code, 0, stderr)
  assert.match(stderr, /"master v2" \([0-9a-f]{32}\) is active\./)
  assert.match(stderr, /1 of 1 data keys are wrapped anew\./)
  assert.match(stderr, new RegExp(`"master" \\(${install.masterKey}\\) is retired`))
  assert.deepEqual(await openDataKey(pool, dae, 'kept'), before)

  const unnamed = await keyscaler('destroy', install.masterKey)
  assert.deepEqual([unnamed.code, /--name "master"/.test(unnamed.stderr)], [2, true])
  assert.equal((await keyscaler('destroy', install.masterKey, '--name', 'master v2')).code, 3)
  assert.deepEqual((await listed()).find(({ id }) => id === install.masterKey)?.state, 'retired')
  const destroyed = await keyscaler('destroy', install.masterKey, '--name', 'master')
  assert.equal(destroyed.code, 0, destroyed.stderr)
  assert.deepEqual((await listed()).find(({ id }) => id === install.masterKey)?.state, 'destroyed')
  assert.deepEqual(await openDataKey(pool, dae, 'kept'), before)
})

test('rotate tenant is for one tenant, and names one that there is', async () => {
  await kms.client('wizard').createTenantKey('Acme')
  assert.equal((await keyscaler('rotate', 'tenant', 'Acme')).code, 0)
  const versions = (await listed())
    .filter(({ tenant }) => tenant === 'Acme')
    .map(({ version, state }) => [version, state])
  assert.deepEqual(versions, [
    [2, 'active'],
    [1, 'retired']
  ])
  const none = await keyscaler('rotate', 'tenant', 'Nobody')
  assert.equal(none.code, 6)
  assert.match(none.stderr, /Nobody has no key/)
})

test('rotate signing makes the version that signs from now on, and the old one can be destroyed', async () => {
  const wizard = kms.client('wizard')
  const before = await wizard.createSigningKey('Acme')
  const { code, stderr } = await keyscaler('rotate', 'signing', 'Acme')
  assert.equal(code, 0, stderr)
  const after = await wizard.createSigningKey('Acme')
  assert.match(stderr, new RegExp(`"keyscaler signing Acme v2" \\(${after.keyId}\\) is active`))
  assert.match(stderr, new RegExp(`\\(${before.keyId}\\) is retired: it signs no more`))
  assert.equal((await keyscaler('destroy', before.keyId, '--name', 'keyscaler signing Acme')).code, 0)
  assert.equal((await keyscaler('rotate', 'signing', 'Nobody')).code, 6)
})

test('an active key is not destroyed, an unknown one is not there, and without an install there is nothing to ask', async () => {
  const active = (await listed()).find(({ purpose, state }) => purpose === 'master' && state === 'active')
  assert.ok(active)
  const inUse = await keyscaler('destroy', active.id, '--name', active.label)
  assert.deepEqual([inUse.code, /in use/.test(inUse.stderr)], [7, true])
  assert.match((await keyscaler('destroy', 'f'.repeat(32), '--name', 'x')).stderr, /There is no key/)
  rmSync(runFolder(stateDir, 'kms').config)
  assert.match((await keyscaler('list')).stderr, /No KMS is deployed/)
})
