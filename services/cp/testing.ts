/**
 * For the tests of this folder: the Control Panel as the wizard deploys it, over a real database with its own user, a
 * real DAE, and in the place of the KMS (whose token is not needed here) a server that issues with a software CA.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomUUID, type X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import { hash } from '@node-rs/argon2'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { migrate } from '../../lib/database/migrate.ts'
import { openPool, utcNow } from '../../lib/database/pool.ts'
import type { Role } from '../../lib/service/roles.ts'
import { parseCsr } from '../../lib/x509/csr.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../lib/x509/service-role.ts'
import { newServiceKey } from '../../lib/x509/software-key.ts'
import { newCa, newSigner, type TestCa } from '../../lib/x509/testing.ts'
import { validity } from '../../lib/x509/validity.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { openWire, type Wire } from './wire-testing.ts'

const root = resolve(import.meta.dirname, '../..')

/** Folder of this test file, gone with it. */
export const dir = mkdtempSync(join(tmpdir(), 'cp-test-'))
const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
  rmSync(dir, { recursive: true, force: true })
})

export const administrator = { email: 'ada@example.test', password: `correct-${randomBytes(9).toString('hex')}` }
export const tenant = 'Example'
const loopback = '127.0.0.1'

export interface TestInstall {
  /** As the administrator of the schema. */
  readonly pool: Pool
  readonly address: string
  /** PEM file of the internal CA. */
  readonly ca: string
  readonly deviceCa: TestCa
  readonly identity: (role: Role) => Identity
  /** Everything that the Control Panel printed. */
  readonly log: () => string
  /** Between the Control Panel and its database. */
  readonly wire: Wire
}

export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** @param parts `dae`: a real one, with a KMS to issue; without it nothing but the Control Panel answers */
export async function newInstall(parts: readonly 'dae'[] = []): Promise<TestInstall> {
  const [database, identities, deviceCa] = await Promise.all([newDatabase(), newIdentities(), newCa()])
  const { pool, mariadb, name } = database
  await fill(pool, deviceCa)
  const identity = (role: Role) => identities.get(role) ?? raise(`no certificate for ${role}`)
  const [port, daePort, kmsPort, mqsPort] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const at = (wanted: number) => `https://${loopback}:${wanted}`
  const wire = await openWire(mariadb)
  ends.push(wire.cut)
  const base = async (role: Role, listenPort: number, login: { user: string; password: string }) => {
    const passwordFile = join(dir, `${role}-password`)
    await writePrivateFile(passwordFile, login.password)
    const { certificate, key } = identity(role)
    return {
      listen: { host: loopback, port: listenPort },
      address: at(listenPort),
      tls: { certificate, key },
      identity: identity(role),
      database: {
        host: mariadb.host,
        port: role === 'cp' ? wire.port : mariadb.port,
        name,
        user: login.user,
        passwordFile
      }
    }
  }
  const services = [
    run('cp', {
      ...(await base('cp', port, database.cp)),
      kms: { address: at(kmsPort) },
      dae: { address: at(daePort) },
      mqs: { address: at(mqsPort) }
    })
  ]
  if (parts.includes('dae')) {
    const { memcached } = await sharedSandbox(['memcached'])
    await issuingKms(kmsPort, identity('kms'), deviceCa)
    services.push(
      run('dae', {
        ...(await base('dae', daePort, mariadb)),
        kms: { address: at(kmsPort) },
        tenant,
        memcached: { servers: [memcached.server], prefix: freshName('cp') },
        deviceTopic: 'devices'
      })
    )
  }
  const [cp] = await Promise.all(services)
  return {
    pool,
    address: at(port),
    ca: identity('cp').ca,
    deviceCa,
    identity,
    log: cp?.output ?? (() => ''),
    wire
  }
}

/** The rights that the Control Panel needs, and no other. */
const rights = {
  sessions: 'SELECT, INSERT, DELETE',
  login_attempts: 'SELECT, INSERT, DELETE',
  administrators: 'SELECT',
  devices: 'SELECT',
  certificates: 'SELECT',
  registrations: 'SELECT',
  certificate_authorities: 'SELECT',
  licenses: 'SELECT',
  outbox: 'SELECT'
}

async function newDatabase() {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const name = freshName('cp')
  const cp = { user: freshName('cp'), password: randomBytes(12).toString('hex') }
  const setup = openPool(mariadb, 1)
  await setup.query(`CREATE DATABASE ${name}`)
  await setup.query(`CREATE USER '${cp.user}'@'127.0.0.1' IDENTIFIED BY '${cp.password}'`)
  const pool = openPool({ ...mariadb, database: name })
  await migrate(pool, join(root, 'migrations'))
  for (const [table, right] of Object.entries(rights)) {
    await setup.query(`GRANT ${right} ON ${name}.${table} TO '${cp.user}'@'127.0.0.1'`)
  }
  ends.push(async () => {
    await pool.end()
    await setup.query(`DROP USER '${cp.user}'@'127.0.0.1'`)
    await setup.query(`DROP DATABASE ${name}`)
    await setup.end()
  })
  return { pool, mariadb, name, cp }
}

/** What the wizard's steps had left there: tenant, administrator, licence, tenant CA. */
async function fill(pool: Pool, ca: TestCa): Promise<void> {
  const now = utcNow()
  const later = utcNow(new Date(Date.now() + 86_400_000))
  await pool.query('INSERT INTO tenants (name, created_at) VALUES (?, ?)', [tenant, now])
  await addAdministrator(pool, administrator.email, await passwordHash(administrator.password))
  await pool.query(
    `INSERT INTO licenses (id, token, licensee, device_limit, not_after, installed_at) VALUES ('lic', 'x', 'Example Ltd', 50, ?, ?)`,
    [later, now]
  )
  await pool.query(
    'INSERT INTO certificate_authorities (key_id, tenant, certificate, device_days, created_at) VALUES (?, ?, ?, 365, ?)',
    ['a'.repeat(32), tenant, ca.certificate.raw, now]
  )
}

export async function addAdministrator(pool: Pool, email: string, stored: string, of = tenant): Promise<void> {
  await pool.query(
    'INSERT INTO administrators (id, tenant, full_name, email, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)',
    [randomUUID(), of, 'Ada <b>Lovelace</b>', email, stored, utcNow()]
  )
}

/** As the account step keeps it. */
export function passwordHash(password: string): Promise<string> {
  return hash(password, { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 })
}

async function newIdentities(): Promise<ReadonlyMap<Role, Identity>> {
  const signer = newSigner('EC-P256')
  const subject = [{ type: 'CN', value: 'KeyScaler Service CA' }]
  const ca = await issueCertificate(
    { profile: 'service-ca', subject, publicKey: signer.publicKey, serial: newSerial(), ...validity(30) },
    signer
  )
  const caFile = join(dir, 'service-ca.crt')
  await writePrivateFile(caFile, ca.toString())
  const identities = new Map<Role, Identity>()
  for (const role of ['wizard', 'kms', 'dae', 'mqs', 'cp'] as const) {
    const { privateKey, publicKey } = await newServiceKey()
    const certificate: X509Certificate = await issueCertificate(
      {
        profile: 'service',
        subject: [{ type: 'CN', value: `KeyScaler ${role}` }],
        publicKey,
        serial: newSerial(),
        issuer: { certificate: ca },
        ipAddresses: [loopback],
        uris: [serviceRoleUri(role)],
        ...validity(7, ca)
      },
      signer
    )
    const paths = { certificate: join(dir, `${role}.crt`), key: join(dir, `${role}.key`), ca: caFile }
    await writePrivateFile(paths.certificate, certificate.toString())
    await writePrivateFile(paths.key, privateKey)
    identities.set(role, paths)
  }
  return identities
}

/** The two routes of the KMS that are met here. */
async function issuingKms(port: number, { certificate, key, ca }: Identity, issuer: TestCa): Promise<void> {
  const pem = (path: string) => readFileSync(path, 'utf8')
  const tls = { cert: pem(certificate), key: pem(key), ca: pem(ca), requestCert: true }
  const server = createServer(tls, async (asked, answer) => {
    answer.setHeader('content-type', 'application/json')
    if (asked.url === '/readyz') {
      const detail = 'open <i>x</i> (software-only, not HSM-protected)'
      return answer.end(JSON.stringify({ ready: true, parts: { keyStore: { ok: true, detail } } }))
    }
    const { csr, commonName, serial, days } = JSON.parse(Buffer.concat(await asked.toArray()).toString())
    const issued = await issueCertificate(
      {
        profile: 'device',
        subject: [{ type: 'CN', value: commonName }],
        publicKey: parseCsr(csr).publicKey,
        serial: Buffer.from(serial, 'hex'),
        issuer,
        ...validity(days, issuer.certificate)
      },
      issuer.signer
    )
    answer.end(JSON.stringify({ certificate: issued.toString() }))
  })
  server.listen(port, loopback)
  await once(server, 'listening')
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
}

async function run(name: 'cp' | 'dae', config: object): Promise<{ output: () => string }> {
  const file = join(dir, `${name}.json`)
  await writePrivateFile(file, JSON.stringify(config))
  const child: ChildProcess = spawn(process.execPath, [join(root, `services/${name}/main.ts`), '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const ended = once(child, 'close')
  ends.push(async () => {
    child.kill('SIGTERM')
    await ended
  })
  const lines: string[] = []
  await new Promise<void>((listening, failed) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream ?? raise('no output')).on('line', (line) => {
        lines.push(line)
        if (line.includes('Server listening')) listening()
      })
    }
    child.once('close', () => failed(new Error(`${name} ended:\n${lines.join('\n')}`)))
  })
  return { output: () => lines.join('\n') }
}

function raise(message: string): never {
  throw new Error(message)
}
