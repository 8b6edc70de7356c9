/** Tenant CAs: the key is in the token, the certificate signs itself, and both sign only what the profile engine builds. */
import { createPublicKey, X509Certificate } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { DeviceCertificateRequest } from '../../lib/kms-client/kms-client.ts'
import { namesOf } from '../../lib/x509/certificate-fields.ts'
import { parseCsr } from '../../lib/x509/csr.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { formatName, parseName } from '../../lib/x509/name.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import type { Signer, SigningAlgorithm } from '../../lib/x509/signing.ts'
import { validity } from '../../lib/x509/validity.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { RingKey } from './key-table.ts'
import type { Measures } from './measures.ts'

export interface TenantCaSpec {
  readonly tenant: string
  /** RFC 4514: CN=Example Device CA, O=Example */
  readonly subject: string
  readonly algorithm: SigningAlgorithm
  readonly days: number
}

export interface CertificateAuthorities {
  /** Idempotent: the tenant's CA that there is, when algorithm and subject are the same. @throws AppError conflict */
  readonly create: (spec: TenantCaSpec) => Promise<{ keyId: string; certificate: string }>
  /** PEM. The life is cut to end with the CA's. @throws AppError not-found, invalid-input */
  readonly issue: (caKeyId: string, request: DeviceCertificateRequest) => Promise<string>
}

interface Authority {
  readonly certificate: X509Certificate
  readonly signer: Signer
}

export function openCertificateAuthorities(
  ring: KeyRing,
  link: KeyStoreLink,
  measures: Measures
): CertificateAuthorities {
  /** A certified CA never changes, so it is read once. */
  const known = new Map<string, Authority>()

  async function authority(keyId: string): Promise<Authority> {
    const before = known.get(keyId)
    if (before !== undefined) return before
    const key = await ring.find(keyId)
    if (key === null || key.purpose !== 'tenant-ca' || key.certificate === null || key.state === 'destroyed') {
      throw new AppError('not-found', 'There is no such certificate authority.')
    }
    const found = { certificate: new X509Certificate(key.certificate), signer: caSigner(key, link, measures) }
    known.set(keyId, found)
    return found
  }

  return {
    create: async ({ tenant, subject, algorithm, days }) => {
      const name = parseName(subject)
      const key = await ring.ensure('tenant-ca', tenant, algorithm)
      const der = await ring.certified(key.id, async (fresh) => {
        const signer = caSigner(fresh, link, measures)
        const publicKey = signer.publicKey
        const certificate = await issueCertificate(
          { profile: 'tenant-ca', subject: name, publicKey, serial: newSerial(), ...validity(days) },
          signer
        )
        return certificate.raw
      })
      const certificate = new X509Certificate(der)
      const stored = formatName(namesOf(certificate).subject)
      if (stored !== formatName(name)) {
        throw new AppError('conflict', `${tenant} has a certificate authority already: ${stored}.`)
      }
      return { keyId: key.id, certificate: certificate.toString() }
    },
    issue: async (caKeyId, { csr: sent, commonName, serial, days }) => {
      const { certificate: issuer, signer } = await authority(caKeyId)
      const csr = parseCsr(sent)
      if (!csr.verify()) throw new AppError('invalid-input', 'The certificate request is not signed with its own key.')
      const certificate = await issueCertificate(
        {
          profile: 'device',
          subject: [{ type: 'CN', value: commonName }],
          publicKey: csr.publicKey,
          serial: Buffer.from(serial, 'hex'),
          issuer: { certificate: issuer },
          ...validity(days, issuer)
        },
        signer
      )
      return certificate.toString()
    }
  }
}

/** Signs with the key in the token; what comes back is verified with the public key that was stored when the key was made. */
export function caSigner(key: RingKey, link: KeyStoreLink, { timed }: Measures): Signer {
  const { id, label, algorithm, publicKey } = key
  if (publicKey === null || algorithm === 'AES-256') throw new AppError('internal', `The key ${id} cannot sign.`)
  return {
    algorithm,
    publicKey: createPublicKey({ key: publicKey, format: 'der', type: 'spki' }),
    sign: (tbs) => timed('sign', () => link.use((store) => store.sign({ id, algorithm, label }, tbs)))
  }
}
