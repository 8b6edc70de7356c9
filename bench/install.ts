/** What the wizard's deployment does before there is a KMS: schema, master key, service CA, certificates, configuration. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../lib/config/private-file.ts'
import { migrate } from '../lib/database/migrate.ts'
import { openPool, utcNow } from '../lib/database/pool.ts'
import type { KeyAlgorithm, KeyRef, KeyStore } from '../lib/keystore/keystore.ts'
import { issueCertificate } from '../lib/x509/issue.ts'
import { newSerial } from '../lib/x509/serial.ts'
import type { Signer } from '../lib/x509/signing.ts'
import { serviceCertificate, type TestCa } from '../lib/x509/testing.ts'
import { validity } from '../lib/x509/validity.ts'
import type { MariadbAddress } from '../sandbox/mariadb.ts'
import { newPassword } from '../sandbox/secrets.ts'
import type { BenchToken } from './token.ts'

export interface Identity {
  /** Paths of PEM files. */
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

export interface Install {
  /** Path of the KMS's configuration. */
  readonly config: string
  readonly address: string
  readonly kms: Identity
  /** Of the role wizard, which may make signing keys and use them. */
  readonly caller: Identity
}

const schema = 'bench'

/** @param sessions of the KMS at the token */
export async function newInstall(
  dir: string,
  { token, mariadb, port, sessions }: { token: BenchToken; mariadb: MariadbAddress; port: number; sessions: number }
): Promise<Install> {
  const setup = openPool(mariadb, 1)
  const password = newPassword()
  await setup.query(`CREATE DATABASE ${schema}`)
  await setup.query(`CREATE USER 'kms'@'127.0.0.1' IDENTIFIED BY '${password}'`)
  await setup.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${schema}.* TO 'kms'@'127.0.0.1'`)
  await setup.end()
  const pool = openPool({ ...mariadb, database: schema })
  await migrate(pool, join(import.meta.dirname, '../migrations'))

  const store = await token.open(1)
  const master = await newKey(store, pool, 'master', 'AES-256')
  const caKey = await newKey(store, pool, 'service-ca', 'EC-P256')
  const ca = await newCa(store, caKey)
  const publicKey = ca.signer.publicKey.export({ type: 'spki', format: 'der' })
  const certified = [publicKey, ca.certificate.raw, caKey.id]
  await pool.execute('UPDATE kms_keys SET public_key = ?, certificate = ? WHERE id = ?', certified)
  await pool.end()
  const file = async (name: string, content: string) => {
    const path = join(dir, name)
    await writePrivateFile(path, content)
    return path
  }
  const caFile = await file('service-ca.crt', ca.certificate.toString())
  const identity = async (role: string): Promise<Identity> => {
    const { certificate, privateKey } = await serviceCertificate(role, ca)
    return {
      certificate: await file(`${role}.crt`, certificate),
      key: await file(`${role}.key`, privateKey),
      ca: caFile
    }
  }
  const kms = await identity('kms')
  const caller = await identity('wizard')
  await store.close()

  const address = `https://127.0.0.1:${port}`
  const config = {
    listen: { host: '127.0.0.1', port },
    address,
    tls: { certificate: kms.certificate, key: kms.key },
    identity: kms,
    database: {
      host: mariadb.host,
      port: mariadb.port,
      name: schema,
      user: 'kms',
      passwordFile: await file('database-password', password)
    },
    keyStore: { ...token.config, sessions },
    pinFile: await file('pin', token.pin),
    pinGuard: token.pinGuard,
    masterKey: master.id,
    serviceCa: { keyId: caKey.id, certificate: caFile }
  }
  return { config: await file('kms.json', JSON.stringify(config)), address, kms, caller }
}

async function newKey(store: KeyStore, pool: Pool, purpose: string, algorithm: KeyAlgorithm): Promise<KeyRef> {
  const ref = await store.createKey({ id: randomBytes(16).toString('hex'), algorithm, label: purpose })
  await pool.execute(
    `INSERT INTO kms_keys (id, purpose, algorithm, label, state, created_at) VALUES (?, ?, ?, ?, 'active', ?)`,
    [ref.id, purpose, algorithm, purpose, utcNow()]
  )
  return ref
}

async function newCa(store: KeyStore, ref: KeyRef): Promise<TestCa> {
  const publicKey = await store.publicKey(ref)
  const signer: Signer = { algorithm: 'EC-P256', publicKey, sign: (tbs) => store.sign(ref, tbs) }
  const subject = [{ type: 'CN', value: 'KeyScaler Service CA' }]
  const request = { profile: 'service-ca', subject, publicKey, serial: newSerial(), ...validity(30) } as const
  return { certificate: await issueCertificate(request, signer), signer }
}
