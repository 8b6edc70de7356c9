/**
 * For the tests of this folder: a database of one's own, and a KMS as the wizard deploys it, over a partition that behaves like
 * the guide's Luna one or an NSS folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, type X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { migrate } from '../../lib/database/migrate.ts'
import { type DatabaseConnection, openPool, utcNow } from '../../lib/database/pool.ts'
import type { KeyAlgorithm, KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import type { Role } from '../../lib/service/roles.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../lib/x509/service-role.ts'
import type { Signer } from '../../lib/x509/signing.ts'
import { newServiceKey } from '../../lib/x509/software-key.ts'
import { validity } from '../../lib/x509/validity.ts'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import type { OpenKeyStore } from './key-store-link.ts'

const root = resolve(import.meta.dirname, '../..')

/** Folder of this test file, gone with it. */
export const dir = mkdtempSync(join(tmpdir(), 'kms-test-'))
const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
  rmSync(dir, { recursive: true, force: true })
})

export interface TestDatabase {
  readonly pool: Pool
  /** As the KMS's own user: these rights are all it needs. */
  readonly kms: DatabaseConnection & { readonly database: string }
}

/** Asked for once: a file that runs alone starts a server each time that it asks. */
let servers: ReturnType<typeof sharedSandbox<'mariadb'>> | undefined
function sandbox() {
  servers ??= sharedSandbox(['mariadb'])
  return servers
}

export async function newDatabase(): Promise<TestDatabase> {
  const { mariadb } = await sandbox()
  const name = freshName('kms')
  const setup = openPool(mariadb, 1)
  const user = { user: freshName('kms'), password: randomBytes(12).toString('hex') }
  await setup.query(`CREATE DATABASE ${name}`)
  await setup.query(`CREATE USER '${user.user}'@'127.0.0.1' IDENTIFIED BY '${user.password}'`)
  const pool = openPool({ ...mariadb, database: name })
  await migrate(pool, join(root, 'migrations'))
  await setup.query(`GRANT SELECT, INSERT, UPDATE ON ${name}.kms_keys TO '${user.user}'@'127.0.0.1'`)
  await setup.query(`GRANT SELECT, INSERT, UPDATE ON ${name}.key_rotations TO '${user.user}'@'127.0.0.1'`)
  await setup.query(`GRANT SELECT, UPDATE ON ${name}.data_keys TO '${user.user}'@'127.0.0.1'`)
  await setup.query(`GRANT INSERT ON ${name}.kms_audit TO '${user.user}'@'127.0.0.1'`)
  ends.push(async () => {
    await pool.end()
    await setup.query(`DROP USER '${user.user}'@'127.0.0.1'`)
    await setup.query(`DROP DATABASE ${name}`)
    await setup.end()
  })
  return { pool, kms: { host: mariadb.host, port: mariadb.port, ...user, database: name } }
}

interface TestToken {
  readonly config: KeyStoreConfig
  /** Empty for NSS. */
  readonly serial: string
  readonly pin: string
  /** Folder of the stand-in partition, for its memory and its faults. */
  readonly folder: string
  readonly pinGuard: string
  readonly open: () => Promise<OpenKeyStore>
}

export async function newToken(profile: KeyStoreConfig['profile']): Promise<TestToken> {
  const folder = join(dir, freshName('token'))
  mkdirSync(folder, { mode: 0o700 })
  const pin = `pin-${randomBytes(8).toString('hex')}`
  const config = profile === 'nss' ? { profile, folder } : await lunaPartition(folder, pin)
  const state = join(dir, freshName('state'))
  const open = () => openKeyStore(config, pin, { guard: openPinGuard(state), create: profile === 'nss' })
  const serial = config.profile === 'nss' ? '' : (config.serial ?? '')
  return { config, serial, pin, folder, pinGuard: join(state, 'pin-guard'), open }
}

async function lunaPartition(folder: string, pin: string): Promise<KeyStoreConfig> {
  const { module, confPath, slot, label, serial } = await createLunaToken(folder, { pin, soPin: 'so-password' })
  return { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial }
}

export interface TestInstall {
  readonly database: TestDatabase
  readonly token: TestToken
  readonly masterKey: string
  readonly serviceCa: { readonly keyId: string; readonly certificate: string }
  /** Starts `main.ts` with these changes to its configuration. */
  readonly start: (changes?: Readonly<Record<string, unknown>>, ...args: readonly string[]) => Promise<RunningKms>
  readonly identity: (role: Role) => { certificate: string; key: string; ca: string }
}

/** What the wizard's deployment does before there is a KMS: master key, service CA, certificates, rows, configuration. */
export async function newInstall(profile: KeyStoreConfig['profile']): Promise<TestInstall> {
  const [database, token] = await Promise.all([newDatabase(), newToken(profile)])
  const store = await token.open()
  const masterKey = await newKey(store, database.pool, 'master', 'AES-256')
  const caKey = await newKey(store, database.pool, 'service-ca', 'EC-P256')
  const ca = await serviceCa(store, caKey)
  const publicKey = ca.certificate.publicKey.export({ type: 'spki', format: 'der' })
  await database.pool.execute('UPDATE kms_keys SET public_key = ?, certificate = ? WHERE id = ?', [
    publicKey,
    ca.certificate.raw,
    caKey
  ])
  const files = join(dir, freshName('install'))
  const caFile = join(files, 'service-ca.crt')
  await writePrivateFile(caFile, ca.certificate.toString())
  const identities = new Map<Role, { certificate: string; key: string; ca: string }>()
  for (const role of ['wizard', 'kms', 'dae', 'mqs', 'cp'] as const) {
    const { certificate, privateKey } = await serviceCertificate(role, ca)
    const paths = { certificate: join(files, `${role}.crt`), key: join(files, `${role}.key`), ca: caFile }
    await writePrivateFile(paths.certificate, certificate)
    await writePrivateFile(paths.key, privateKey)
    identities.set(role, paths)
  }
  await store.close()

  const identity = (role: Role) => {
    const found = identities.get(role)
    if (found === undefined) throw new Error(`no certificate for ${role}`)
    return found
  }
  const passwordFile = join(files, 'database-password')
  const pinFile = join(files, 'pin')
  await writePrivateFile(passwordFile, database.kms.password)
  await writePrivateFile(pinFile, token.pin)

  return {
    database,
    token,
    masterKey,
    serviceCa: { keyId: caKey, certificate: caFile },
    identity,
    start: async (changes = {}, ...args) => {
      const port = await freePort()
      const { certificate, key } = identity('kms')
      const { host, port: databasePort, user, database: name } = database.kms
      const config = {
        listen: { host: '127.0.0.1', port },
        address: `https://127.0.0.1:${port}`,
        tls: { certificate, key },
        identity: identity('kms'),
        database: { host, port: databasePort, name, user, passwordFile },
        keyStore: token.config,
        pinFile,
        pinGuard: token.pinGuard,
        masterKey,
        serviceCa: { keyId: caKey, certificate: caFile },
        ...changes
      }
      const file = join(files, `config-${port}.json`)
      await writePrivateFile(file, JSON.stringify(config))
      return runKms(['--config', file, ...args], config.address, identity)
    }
  }
}

export interface RunningKms {
  readonly address: string
  readonly child: ChildProcess
  /** Everything that it printed. */
  readonly output: () => string
  /** Settles when a line has been printed that matches, those before included. */
  readonly said: (pattern: RegExp) => Promise<void>
  /** Settles when it listens. @throws when it ends before */
  readonly listening: () => Promise<void>
  readonly ended: Promise<number | null>
  readonly client: (role: Role) => KmsClient
}

function runKms(args: readonly string[], address: string, identity: TestInstall['identity']): RunningKms {
  const child = spawn(process.execPath, [join(root, 'services/kms/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const lines: string[] = []
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line)
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  ends.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  })
  const said = (pattern: RegExp) =>
    new Promise<void>((found) => {
      const look = () => {
        if (!lines.some((line) => pattern.test(line))) return
        listeners.delete(look)
        found()
      }
      listeners.add(look)
      look()
    })
  return {
    address,
    child,
    output: () => lines.join('\n'),
    said,
    ended,
    listening: async () => {
      const code = await Promise.race([said(/Server listening/), ended])
      if (code !== undefined) throw new Error(`the KMS ended with ${code}:\n${lines.join('\n')}`)
    },
    client: (role) => {
      const client = openKmsClient({ address, identity: identity(role) })
      ends.push(client.close)
      return client
    }
  }
}

async function newKey(store: OpenKeyStore, pool: Pool, purpose: string, algorithm: KeyAlgorithm): Promise<string> {
  const id = randomBytes(16).toString('hex')
  const ref = await store.createKey({ id, algorithm, label: purpose })
  const checkValue = algorithm === 'AES-256' ? await store.checkValue(ref) : null
  await pool.execute(
    `INSERT INTO kms_keys (id, purpose, algorithm, label, state, check_value, created_at) VALUES (?, ?, ?, ?, 'active', ?, ?)`,
    [id, purpose, algorithm, purpose, checkValue, utcNow()]
  )
  return id
}

interface ServiceCa {
  readonly certificate: X509Certificate
  readonly signer: Signer
}

async function serviceCa(store: OpenKeyStore, id: string): Promise<ServiceCa> {
  const ref = { id, algorithm: 'EC-P256', label: 'service-ca' } as const
  const publicKey = await store.publicKey(ref)
  const signer: Signer = { algorithm: ref.algorithm, publicKey, sign: (tbs) => store.sign(ref, tbs) }
  const subject = [{ type: 'CN', value: 'KeyScaler Service CA' }]
  const certificate = await issueCertificate(
    { profile: 'service-ca', subject, publicKey, serial: newSerial(), ...validity(3650) },
    signer
  )
  return { certificate, signer }
}

async function serviceCertificate(role: Role, { certificate: issuer, signer }: ServiceCa) {
  const { privateKey, publicKey } = await newServiceKey()
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: [{ type: 'CN', value: `KeyScaler ${role}` }],
      publicKey,
      serial: newSerial(),
      issuer: { certificate: issuer },
      ipAddresses: ['127.0.0.1'],
      uris: [serviceRoleUri(role)],
      ...validity(365, issuer)
    },
    signer
  )
  return { certificate: certificate.toString(), privateKey }
}
