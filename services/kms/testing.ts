/** For the tests of this folder: a KMS as the wizard deploys it, over a partition that behaves like the guide's Luna one or an NSS folder. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { utcNow } from '../../lib/database/pool.ts'
import type { KeyAlgorithm, KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import type { Role } from '../../lib/service/roles.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import type { Signer } from '../../lib/x509/signing.ts'
import type { TestCa } from '../../lib/x509/testing.ts'
import { validity } from '../../lib/x509/validity.ts'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName } from '../../sandbox/testing.ts'
import { type DatabaseLogin, newDatabase, type TestDatabase } from '../testing/database.ts'
import { type Identity, identitiesFrom } from '../testing/identities.ts'
import { type Program, startProgram } from '../testing/program.ts'
import { atEnd, dir } from '../testing/test-file.ts'
import type { OpenKeyStore } from './key-store-link.ts'

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
  /** Of the KMS. */
  readonly login: DatabaseLogin
  readonly token: TestToken
  readonly masterKey: string
  readonly serviceCa: { readonly keyId: string; readonly certificate: string }
  /** Starts `main.ts` with these changes to its configuration. */
  readonly start: (changes?: Readonly<Record<string, unknown>>, ...args: readonly string[]) => Promise<RunningKms>
  readonly identity: (role: Role) => Identity
}

/** What the wizard's deployment does before there is a KMS: master key, service CA, certificates, rows, configuration. */
export async function newInstall(profile: KeyStoreConfig['profile']): Promise<TestInstall> {
  const [database, token] = await Promise.all([newDatabase('kms'), newToken(profile)])
  const login = await database.loginOf('kms')
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
  const identity = await identitiesFrom(ca)
  await store.close()

  const files = join(dir, freshName('install'))
  const passwordFile = join(files, 'database-password')
  const pinFile = join(files, 'pin')
  await writePrivateFile(passwordFile, login.password)
  await writePrivateFile(pinFile, token.pin)

  return {
    database,
    login,
    token,
    masterKey,
    serviceCa: { keyId: caKey, certificate: identity('kms').ca },
    identity,
    start: async (changes = {}, ...args) => {
      const port = await freePort()
      const { certificate, key, ca: caFile } = identity('kms')
      const { host, port: databasePort, user, database: name } = login
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

export interface RunningKms extends Program {
  readonly address: string
  readonly client: (role: Role) => KmsClient
}

function runKms(args: readonly string[], address: string, identity: TestInstall['identity']): RunningKms {
  return {
    ...startProgram('kms', args),
    address,
    client: (role) => {
      const client = openKmsClient({ address, identity: identity(role) })
      atEnd(client.close)
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

async function serviceCa(store: OpenKeyStore, id: string): Promise<TestCa> {
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
