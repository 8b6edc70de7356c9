/** A device CA is followed by another one, from outside: the whole install over the stand-in partition, curl and openssl as the device. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { file, openssl } from '../../lib/x509/testing.ts'
import { certificatesOf } from '../steps/dae/certs-only.ts'
import { objectsIn } from '../testing/witness.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

let world: InstallWorld
let answers: string
before(async () => {
  world = await openInstallWorld()
  answers = world.answersFile()
  const { code, stderr } = await world.apply(answers, '--exit').ended
  assert.equal(code, 0, stderr)
})
after(() => world.close())

const tlsFile = (name: string) => join(world.stateDir, 'tls', name)
const execute = promisify(execFile)

async function curl(path: string, ...args: readonly string[]): Promise<string> {
  const common = ['--silent', '--show-error', '--fail-with-body', '--cacert', tlsFile('service-ca.crt')]
  const { stdout } = await execute('curl', [...common, ...args, `https://127.0.0.1:${world.ports.dae}${path}`])
  return stdout
}

const certificatesAt = async (path: string, ...args: readonly string[]) =>
  certificatesOf(Buffer.from(await curl(path, ...args), 'base64'))

const est = '/.well-known/est'
const pkcs10 = ['-H', 'Content-Type: application/pkcs10', '--data-binary']
const requestFor = (name: string, key: string) =>
  openssl('req', '-new', '-key', key, '-subj', `/CN=${name}`).replace(/-----[^-]*-----|\s/g, '')
const newKey = () => file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))

async function enrolled(name: string, key: string): Promise<X509Certificate> {
  const wizard = [
    '--cert',
    tlsFile('wizard.crt'),
    '--key',
    tlsFile('wizard.key'),
    '-H',
    'Content-Type: application/json'
  ]
  const asked = await curl('/api/v1/registrations', ...wizard, '-d', JSON.stringify({ deviceName: name }))
  const netrc = file(`machine 127.0.0.1 login ${name} password ${JSON.parse(asked).secret}\n`)
  const [certificate] = await certificatesAt(
    `${est}/simpleenroll`,
    ...[...pkcs10, requestFor(name, key), '--netrc-file', netrc]
  )
  assert.ok(certificate)
  return certificate
}

const pem = (certificate: X509Certificate | undefined) => file(certificate?.toString() ?? '')
const passes = (trusted: X509Certificate, between: readonly X509Certificate[], leaf: X509Certificate) => {
  const chain = between.flatMap((one) => ['-untrusted', pem(one)])
  const strict = ['-x509_strict', '-check_ss_sig', '-purpose', 'sslclient']
  assert.match(openssl('verify', ...strict, '-CAfile', pem(trusted), ...chain, pem(leaf)), /: OK/)
}

const caKeys = async () =>
  (
    await world.query(
      `SELECT id, label, version, state FROM {db}.kms_keys WHERE purpose = 'tenant-ca' ORDER BY version`
    )
  ).map(({ id, label, version, state }) => ({ id: String(id), label: String(label), words: `v${version} ${state}` }))

test('a device CA is followed by a new key, killed in the midst of it too; devices of the old one come over', {
  timeout: 240_000
}, async () => {
  const key = newKey()
  const device = await enrolled('pump-1', key)
  const [root, ...none] = await certificatesAt(`${est}/cacerts`)
  assert.deepEqual([none, root === undefined], [[], false])
  assert.ok(root)
  const [first] = await caKeys()
  assert.ok(first)

  const unknown = await world.run('keys', 'succeed', 'f'.repeat(32)).ended
  assert.deepEqual([unknown.code, /There is no device CA with the key/.test(unknown.stderr)], [6, true], unknown.stderr)
  const command = ['keys', 'succeed', first.id]
  await world.run(...command).killedWhenItSays(/The next key of the device CA of acme/)
  await world.run(...command).killedWhenItSays(/old and new have signed each other/)
  const { code, stdout, stderr } = await world.run(...command, '--output', 'json').ended
  assert.equal(code, 0, stderr)
  const told = JSON.parse(stdout)
  const keys = await caKeys()
  assert.deepEqual(
    keys.map(({ words }) => words),
    ['v1 retired', 'v2 active']
  )
  assert.deepEqual([told.follows, told.keyId, told.issuesFrom], [first.id, keys[1]?.id, null])

  // Devices are told of both, and of what leads from one to the other (RFC 7030 4.1.3).
  const all = await certificatesAt(`${est}/cacerts`)
  assert.equal(all.length, 4)
  const next = all.find((one) => one.fingerprint256 === told.fingerprint)
  const newWithOld = all.find((one) => one !== root && one.verify(root.publicKey) && !one.raw.equals(root.raw))
  assert.ok(next && newWithOld)
  const oldWithNew = all.find((one) => one.verify(next.publicKey) && one !== next)
  assert.ok(oldWithNew)
  assert.ok((await enrolled('pump-2', newKey())).verify(next.publicKey), 'the new one issues')

  const destroyOld = () => world.run('keys', 'destroy', first.id, '--name', first.label).ended
  const notYet = await world.run(...command, '--issues-from', '2099-01-01T00:00:00Z').ended
  assert.equal(notYet.code, 0, notYet.stderr)
  const needed = await destroyOld()
  assert.deepEqual(
    [needed.code, /issues device certificates by .* still/.test(needed.stderr)],
    [7, true],
    needed.stderr
  )
  const later = await world.run(...command, '--issues-from', '2026-01-01T00:00:00+01:00', '--output', 'json').ended
  assert.deepEqual([later.code, JSON.parse(later.stdout)], [0, { ...told, issuesFrom: '2025-12-31T23:00:00.000Z' }])
  assert.equal((await caKeys()).length, 2, 'the same successor')
  assert.deepEqual(
    (await certificatesAt(`${est}/cacerts`)).map(({ fingerprint256 }) => fingerprint256),
    all.map(({ fingerprint256 }) => fingerprint256),
    'devices keep what they were given first'
  )
  passes(root, [newWithOld], device)
  passes(next, [oldWithNew], device)

  const showing = ['--cert', pem(device), '--key', key]
  const [certificate] = await certificatesAt(
    `${est}/simplereenroll`,
    ...[...showing, ...pkcs10, requestFor('pump-1', key)]
  )
  assert.ok(certificate)
  passes(next, [], certificate)
  passes(root, [newWithOld], certificate)
  assert.equal(certificate.subject, device.subject)

  const audit = await world.query(
    `SELECT action, COUNT(*) AS n FROM {db}.kms_audit WHERE action IN ('tenant-ca.succeed', 'device-certificate.issue')
     GROUP BY action ORDER BY action`
  )
  assert.deepEqual(
    audit.map(({ action, n }) => `${action} ${Number(n) > 0}`),
    ['device-certificate.issue true', 'tenant-ca.succeed true']
  )

  const { code: destroyed, stderr: words } = await destroyOld()
  assert.equal(destroyed, 0, words)
  assert.deepEqual(
    (await caKeys()).map((one) => one.words),
    ['v1 destroyed', 'v2 active']
  )
  const again = await world.apply(answers, '--exit', '--output', 'json').ended
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stderr + again.stdout, /"changed":false/)
  const gone = await world.destroy('--yes', '--delete-keys', world.luna.label, '--delete-database', world.database)
    .ended
  assert.equal(gone.code, 0, gone.stderr)
  assert.deepEqual(await objectsIn(world), [], 'the keys of both')
})
