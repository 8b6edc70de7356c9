/** Master key and service CA in the token: created, or adopted by their ids; exactly one of each. */
import { randomBytes, X509Certificate } from 'node:crypto'
import type { Pool } from 'mysql2/promise'
import { AppError } from '../../../lib/errors/app-error.ts'
import { finishKey } from '../../../lib/keystore/finish-key.ts'
import type { EncryptsData, KeyRef, KeyStore } from '../../../lib/keystore/keystore.ts'
import { issueCertificate } from '../../../lib/x509/issue.ts'
import { newSerial } from '../../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../../lib/x509/service-role.ts'
import type { Signer } from '../../../lib/x509/signing.ts'
import { validity } from '../../../lib/x509/validity.ts'
import { acceptedSpki } from '../../../lib/x509/weak-keys.ts'
import type { Issue } from '../../deploy/service-identity.ts'
import { activateKey, intendKey, keepCertificate, type OwnPurpose } from './key-rows.ts'

export type OpenKeyStore = KeyStore & EncryptsData

const wanted = {
  master: { algorithm: 'AES-256', label: 'keyscaler master key' },
  'service-ca': { algorithm: 'EC-P256', label: 'keyscaler service CA' }
} as const

const caDays = 3650
/** As the KMS gives to the services. */
const certificateDays = 760

/** @throws AppError conflict when a key that is active is not in this token */
export async function ensureKey(database: Pool, store: OpenKeyStore, purpose: OwnPurpose): Promise<KeyRef> {
  const row = await intendKey(database, purpose, wanted[purpose])
  const { id, algorithm, label } = row
  const ref =
    row.state === 'intent' ? await finishKey(store, { id, algorithm, label }, row.isNew) : await store.findKey(id)
  if (ref === null) {
    throw new AppError('conflict', `The ${label} of this install is not in ${store.token.label}.`, {
      cure: 'Choose the key store that holds it, or restore its backup; a new key could open nothing.'
    })
  }
  if (ref.algorithm !== algorithm) {
    throw new AppError('conflict', `The key ${id} in ${store.token.label} is ${ref.algorithm}, not ${algorithm}.`)
  }
  if (algorithm === 'AES-256') {
    await proveEncryption(store, ref)
    await activateKey(database, id, { publicKey: null, checkValue: await store.checkValue(ref) })
  } else {
    const publicKey = (await store.publicKey(ref)).export({ type: 'spki', format: 'der' })
    await activateKey(database, id, { publicKey, checkValue: null })
  }
  return ref
}

async function proveEncryption(store: OpenKeyStore, key: KeyRef): Promise<void> {
  const canary = randomBytes(32)
  const aad = Buffer.from(`canary/${key.id}`)
  const opened = await store.decrypt(key, await store.encrypt(key, canary, aad), aad)
  if (!canary.equals(opened)) throw new AppError('conflict', 'The master key does not give back what it encrypted.')
}

export interface ServiceCa {
  readonly key: KeyRef
  readonly certificate: X509Certificate
  readonly signer: Signer
}

/** The stored certificate when it is the key's, otherwise a new one that signs itself. */
export async function ensureServiceCa(database: Pool, store: OpenKeyStore, install: string): Promise<ServiceCa> {
  const key = await ensureKey(database, store, 'service-ca')
  const publicKey = await store.publicKey(key)
  const signer: Signer = { algorithm: 'EC-P256', publicKey, sign: (tbs) => store.sign(key, tbs) }
  const { certificate: stored } = await intendKey(database, 'service-ca', wanted['service-ca'])
  if (stored !== null) {
    const certificate = new X509Certificate(stored)
    if (acceptedSpki(certificate.publicKey).equals(acceptedSpki(publicKey))) return { key, certificate, signer }
  }
  const subject = [{ type: 'CN', value: `KeyScaler Service CA ${install.slice(0, 8)}` }]
  const request = { profile: 'service-ca', subject, publicKey, serial: newSerial(), ...validity(caDays) } as const
  const certificate = await issueCertificate(request, signer)
  await keepCertificate(database, key.id, certificate.raw)
  return { key, certificate, signer }
}

/** Certificates for the KMS and the wizard, before there is a KMS to ask. */
export function issuedByToken(ca: ServiceCa, service: string): Issue {
  return async ({ publicKey, dnsNames, ipAddresses }) => {
    const certificate = await issueCertificate(
      {
        profile: 'service',
        subject: [{ type: 'CN', value: `KeyScaler ${service}` }],
        publicKey,
        serial: newSerial(),
        issuer: { certificate: ca.certificate },
        dnsNames,
        ipAddresses,
        uris: [serviceRoleUri(service)],
        ...validity(certificateDays, ca.certificate)
      },
      ca.signer
    )
    return certificate.toString()
  }
}
