/** TLS certificates of our own services, from the internal CA whose key is in the token. */

import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AppError } from '../../lib/errors/app-error.ts'
import { parseCsr } from '../../lib/x509/csr.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../lib/x509/service-role.ts'
import type { Signer } from '../../lib/x509/signing.ts'
import { validity } from '../../lib/x509/validity.ts'
import { acceptedSpki } from '../../lib/x509/weak-keys.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { Measures } from './measures.ts'

export interface ServiceCertificateRequest {
  readonly service: string
  readonly csr: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

export interface ServiceCertificates {
  /** PEM of the certificate and of the CA. @throws AppError invalid-input */
  readonly issue: (request: ServiceCertificateRequest) => Promise<{ certificate: string; ca: string }>
}

/** Two years and a month: renewed by every deployment. */
const certificateDays = 760

/** @throws AppError conflict when the CA key is not in the token, or is not the certificate's */
export async function openServiceCertificates(
  ca: { readonly keyId: string; readonly certificate: string },
  link: KeyStoreLink,
  measures: Measures
): Promise<ServiceCertificates> {
  const issuer = new X509Certificate(await readFile(ca.certificate, 'utf8'))
  const signer = await caSigner(ca.keyId, issuer, link, measures)
  return {
    issue: async ({ service, csr: sent, dnsNames, ipAddresses }) => {
      const csr = parseCsr(sent)
      if (!csr.verify()) throw new AppError('invalid-input', 'The certificate request is not signed with its own key.')
      const certificate = await issueCertificate(
        {
          profile: 'service',
          subject: [{ type: 'CN', value: `KeyScaler ${service}` }],
          publicKey: csr.publicKey,
          serial: newSerial(),
          issuer: { certificate: issuer },
          dnsNames,
          ipAddresses,
          uris: [serviceRoleUri(service)],
          ...validity(certificateDays, issuer)
        },
        signer
      )
      return { certificate: certificate.toString(), ca: issuer.toString() }
    }
  }
}

async function caSigner(id: string, issuer: X509Certificate, link: KeyStoreLink, { timed }: Measures): Promise<Signer> {
  const ref = await link.use((store) => store.findKey(id))
  if (ref === null || ref.algorithm === 'AES-256') {
    throw new AppError('conflict', `The key store has no service CA key with the id ${id}.`)
  }
  const { algorithm } = ref
  const { publicKey } = issuer
  const inToken = await link.use((store) => store.publicKey(ref))
  if (!acceptedSpki(publicKey).equals(acceptedSpki(inToken))) {
    throw new AppError('conflict', `The service CA certificate is not that of the key ${id} in the key store.`)
  }
  return {
    algorithm,
    publicKey,
    sign: (tbs) => timed('sign', () => link.use((store) => store.sign(ref, tbs)))
  }
}
