/** An address without a port means the service's own, which is listened on to see whether it is free: @fixed-ports. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { startTimeOf } from '../../lib/process/start-time.ts'
import { freePort } from '../../sandbox/ports.ts'
import { runChecks } from '../checks/check.ts'
import { runFolder } from '../deploy/process/run-folder.ts'
import { judgeCertificate } from './given-certificate.ts'
import { hostChecks } from './host-checks.ts'

const dir = mkdtempSync(join(tmpdir(), 'host-checks-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const daeChecks = hostChecks<{ daeHost: string; certificate?: string; certificateKey?: string }>({
  service: 'dae',
  field: 'daeHost',
  addressOf: (answers) => answers.daeHost
})

async function findings(daeHost: string, earlier: Record<string, Record<string, unknown>> = {}, stateDir = dir) {
  const around = { stateDir, install: 'test', earlier, progress: () => {}, services: {} }
  const found = await runChecks(daeChecks, { daeHost }, around)
  return Object.fromEntries(found.map((finding) => [finding.id, finding]))
}

test('a name that nobody knows fails with the guide wording', async () => {
  const seen = (await findings('https://no-such-host.invalid'))['dae.host-resolves']
  assert.equal(seen?.verdict, 'fail')
  assert.equal(seen?.say, 'no-such-host.invalid does not resolve by DNS or /etc/hosts.')
})

test('http on loopback warns and offers the https address, elsewhere it fails', async () => {
  const port = await freePort()
  const here = (await findings(`http://localhost:${port}`))['dae.host-resolves']
  assert.equal(here?.verdict, 'warn')
  assert.deepEqual(here?.offer?.values, { daeHost: `https://localhost:${port}` })
  assert.equal((await findings('http://192.0.2.1'))['dae.host-resolves']?.verdict, 'fail')
})

test('an address of another machine is information, not a failure', async () => {
  assert.equal((await findings('https://192.0.2.1'))['dae.host-resolves']?.verdict, 'info')
})

test('one address for all is fine without a port; the same explicit port is refused with a free one offered', async () => {
  const earlier = { kms: { kmsHost: 'https://localhost' } }
  assert.equal((await findings('https://localhost', earlier))['dae.port-free']?.verdict, 'pass')
  const seen = (await findings('https://localhost:9443', earlier))['dae.port-free']
  assert.equal(seen?.say, 'Port 9443 was given to the Key Management Service.')
  const offered = String(seen?.offer?.values.daeHost)
  assert.equal((await findings(offered, earlier))['dae.port-free']?.verdict, 'pass')
})

test('a port that another program has is refused, one that the service itself has is fine', async (context) => {
  const server = createServer().listen(0, '127.0.0.1')
  context.after(() => server.close())
  await once(server, 'listening')
  const bound = server.address()
  assert.ok(bound !== null && typeof bound === 'object')
  const address = `https://127.0.0.1:${bound.port}`
  const busy = (await findings(address))['dae.port-free']
  assert.equal(busy?.verdict, 'fail')
  assert.match(busy?.say ?? '', /used by another program/)

  const run = runFolder(join(dir, 'state'), 'dae')
  const startTime = startTimeOf(process.pid)
  await writePrivateFile(run.pid, JSON.stringify({ pid: process.pid, startTime, configHash: '', startedAt: '' }))
  const listen = { host: '127.0.0.1', port: bound.port }
  await writePrivateFile(
    run.config,
    JSON.stringify({ listen, address, tls: { certificate: '' }, identity: { certificate: '', ca: '' } })
  )
  assert.equal((await findings(address, {}, join(dir, 'state')))['dae.port-free']?.verdict, 'pass')
})

test('no certificate is information: the internal CA issues one', async () => {
  assert.equal((await findings(`https://localhost:${await freePort()}`))['dae.certificate']?.verdict, 'info')
})

/** A root, and a server certificate that it signed, made by openssl. */
function givenBy(days: number) {
  const file = (name: string) => join(dir, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...ec, '-keyout', file('ca.key'), '-out', file('ca.crt'), '-subj', '/CN=Root', '-days', '9')
  const names = ['-addext', 'subjectAltName=DNS:kms.example.com']
  openssl('req', ...ec, '-keyout', file('s.key'), '-out', file('s.csr'), '-subj', '/CN=server', ...names)
  const signing = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-copy_extensions', 'copy', '-days', String(days)]
  openssl('x509', '-req', '-in', file('s.csr'), '-out', file('s.crt'), ...signing)
  const read = (name: string) => readFileSync(file(name), 'utf8')
  return { ca: read('ca.crt'), caKey: read('ca.key'), certificate: read('s.crt'), key: read('s.key') }
}

test('a given certificate must fit its key, its address and a trusted root', () => {
  const { ca, caKey, certificate, key } = givenBy(5)
  const anchors = [new X509Certificate(ca)]
  const problem = (...given: Parameters<typeof judgeCertificate>) => judgeCertificate(...given).problem
  assert.equal(problem(certificate, key, 'kms.example.com', anchors), null)
  assert.equal(judgeCertificate(certificate, key, 'kms.example.com', anchors).anchor?.subject, 'CN=Root')
  assert.equal(problem(certificate, key, 'other.example.com', anchors), 'wrong-name')
  assert.equal(problem(certificate, caKey, 'kms.example.com', anchors), 'key-mismatch')
  assert.equal(problem(certificate, 'no key', 'kms.example.com', anchors), 'key-unreadable')
  assert.equal(problem(certificate, key, 'kms.example.com'), 'untrusted')
})

test('an expired certificate is named as such', () => {
  const { ca, certificate, key } = givenBy(-1)
  assert.equal(judgeCertificate(certificate, key, 'kms.example.com', [new X509Certificate(ca)]).problem, 'expired')
})
