/** An install whose four services all show certificates of the administrator's own CA, which this system trusts. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { ServiceName } from '../services/catalog.ts'
import { openDoor } from './testing/door.ts'
import { type InstallWorld, openInstallWorld } from './testing/world.ts'

interface Installed {
  readonly wizard: string
  readonly services: Readonly<Record<ServiceName, string>>
}

/** Where OpenSSL, and with it Node, looks for the system's roots; curl's own variable goes before it. */
const systemRoots = 'SSL_CERT_FILE'

let world: InstallWorld
let root: string
let installed: Installed

before(async () => {
  world = await openInstallWorld()
  root = join(world.dir, 'own-root.crt')
  openssl('req', '-x509', ...freshKey('own-root.key'), '-subj', '/CN=Own Root', '-days', '30', '-out', 'own-root.crt')
  process.env[systemRoots] = root // of this file's process and its children only
  const { kms, dae, mqs, cp } = world.answers
  const apply = world.apply(
    world.answersFile({
      kms: { ...kms, ...given('kms') },
      dae: { ...dae, ...given('dae') },
      mqs: { ...mqs, ...given('mqs') },
      cp: { ...cp, ...given('cp') }
    })
  )
  installed = JSON.parse(await apply.said(/^\{/))
})
after(async () => {
  delete process.env[systemRoots]
  await world?.close()
})

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: world.dir, stdio: ['ignore', 'ignore', 'pipe'] })
}

function freshKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file]
}

function given(service: string) {
  const file = (end: string) => `own-${service}.${end}`
  openssl('req', ...freshKey(file('key')), '-subj', `/CN=${service}`, '-out', file('csr'))
  writeFileSync(join(world.dir, file('ext')), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n')
  const issuer = ['-CA', 'own-root.crt', '-CAkey', 'own-root.key', '-CAcreateserial']
  openssl('x509', '-req', '-in', file('csr'), ...issuer, '-days', '20', '-extfile', file('ext'), '-out', file('crt'))
  const read = (end: string) => readFileSync(join(world.dir, file(end)), 'utf8')
  return { certificate: read('crt'), certificateKey: read('key') }
}

test('every service shows its own certificate, and all of them reach one another', async () => {
  const tls = { ca: readFileSync(root) }
  const json = { accept: 'application/json', 'content-type': 'application/json' }
  const door = openDoor(installed.wizard)
  for (const [name, address] of Object.entries(installed.services)) {
    const { status, text } = await door.ask(`${address}/readyz`, { tls })
    assert.equal(status, 200, `${name}: ${text}`)
  }
  const { email, password } = world.answers.account
  const body = JSON.stringify({ email, password })
  const login = await door.ask(`${installed.services.cp}/login`, { method: 'POST', headers: json, body, tls })
  assert.equal(login.status, 200, login.text)
  const cookie = login.headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  const overview = await door.ask(installed.services.cp, { headers: { accept: 'text/html', cookie }, tls })
  assert.match(overview.text, /All services are ready\./)
})

test('the command on the page of the result enrols a device as it stands', async () => {
  const door = openDoor(installed.wizard)
  const tls = {
    ca: readFileSync(root),
    cert: readFileSync(join(world.stateDir, 'tls/wizard.crt')),
    key: readFileSync(join(world.stateDir, 'tls/wizard.key'))
  }
  const registered = await door.ask(`${installed.services.dae}/api/v1/registrations`, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({ deviceName: 'device-1' }),
    tls
  })
  assert.equal(registered.status, 201, registered.text)
  const { secret } = JSON.parse(registered.text)
  const page = await door.ask('/', { headers: { accept: 'application/json' } })
  const { enrolCommand } = JSON.parse(page.text).complete
  // curl asks a person for the secret; here it reads it from a file.
  writeFileSync(join(world.dir, 'secret'), `user = "device-1:${secret}"\n`, { mode: 0o600 })
  const command = String(enrolCommand).replace('--user device-1', '--config secret --silent --show-error')
  execFileSync('bash', ['-o', 'pipefail', '-ec', command], {
    cwd: world.dir,
    env: { ...process.env, CURL_CA_BUNDLE: root },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  assert.match(readFileSync(join(world.dir, 'device-1.crt'), 'utf8'), /BEGIN CERTIFICATE/)
})
