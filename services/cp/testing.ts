/**
 * For the tests of this folder: the Control Panel as the wizard deploys it, over a real database with its own user, a
 * real DAE, and in the place of the KMS (whose token is not needed here) a server that issues with a software CA.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { hash } from '@node-rs/argon2'
import type { Pool } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import type { Role } from '../../lib/service/roles.ts'
import { parseCsr } from '../../lib/x509/csr.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newCa, type TestCa } from '../../lib/x509/testing.ts'
import { validity } from '../../lib/x509/validity.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { newDatabase } from '../testing/database.ts'
import { type Identity, newIdentities } from '../testing/identities.ts'
import { baseConfig, run } from '../testing/service-process.ts'
import { startProxy, type TcpProxy } from '../testing/tcp-proxy.ts'
import { atEnd } from '../testing/test-file.ts'

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
  readonly wire: TcpProxy
}

/** @param parts `dae`: a real one, with a KMS to issue; without it nothing but the Control Panel answers */
export async function newInstall(parts: readonly 'dae'[] = []): Promise<TestInstall> {
  const [{ pool, loginOf }, { identity }, deviceCa] = await Promise.all([newDatabase('cp'), newIdentities(), newCa()])
  await fill(pool, deviceCa)
  const login = await loginOf('cp')
  const [wire, kmsPort, mqsPort] = await Promise.all([startProxy(login), freePort(), freePort()])
  atEnd(wire.close)
  const kms = { address: `https://${loopback}:${kmsPort}` }
  const dae = {
    ...(await baseConfig(identity('dae'), await loginOf('dae'))),
    kms,
    tenant,
    deviceTopic: 'devices'
  }
  const cp = run('cp', {
    ...(await baseConfig(identity('cp'), { ...login, port: wire.port })),
    kms,
    dae: { address: dae.address },
    mqs: { address: `https://${loopback}:${mqsPort}` }
  })
  if (parts.includes('dae')) {
    const { memcached } = await sharedSandbox(['memcached'])
    await issuingKms(kmsPort, identity('kms'), deviceCa)
    await run('dae', { ...dae, memcached: { servers: [memcached.server], prefix: freshName('cp') } })
  }
  const { address, ca, output } = await cp
  return { pool, address, ca, deviceCa, identity, log: output, wire }
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
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
}
