/**
 * The next key of a tenant's CA (RFC 4210 4.4): same name, new key in the token, and both keys sign each other, so that who
 * trusts one of them accepts what the other issues. The old key issues until the DAE takes the new one. Killed anywhere and asked
 * again, it is the same successor.
 */
import { X509Certificate } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { CaSuccession } from '../../lib/kms-client/kms-client.ts'
import { namesOf } from '../../lib/x509/certificate-fields.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import type { Signer } from '../../lib/x509/signing.ts'
import { validity } from '../../lib/x509/validity.ts'
import { caSigner } from './certificate-authority.ts'
import type { KeyRing } from './key-ring.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { RingKey } from './key-table.ts'
import type { Measures } from './measures.ts'
import { successorOf } from './successor-key.ts'

/** @throws AppError not-found when there is no such CA */
export type SucceedCa = (keyId: string, days: number) => Promise<CaSuccession>

interface Authority {
  readonly certificate: X509Certificate
  readonly signer: Signer
}

export function openCaRollover(ring: KeyRing, link: KeyStoreLink, measures: Measures): SucceedCa {
  const signerOf = (key: RingKey) => caSigner(key, link, measures)

  return async (keyId, days) => {
    const current = await ring.find(keyId)
    if (current?.purpose !== 'tenant-ca' || current.certificate === null || current.state === 'destroyed') {
      throw new AppError('not-found', 'There is no such certificate authority.')
    }
    const old = { certificate: new X509Certificate(current.certificate), signer: signerOf(current) }
    const successor = await successorOf(ring, current)
    const der = await ring.certified(successor.id, async (fresh) => {
      const signer = signerOf(fresh)
      const subject = namesOf(old.certificate).subject
      const root = { profile: 'tenant-ca', subject, publicKey: signer.publicKey, serial: newSerial() } as const
      return (await issueCertificate({ ...root, ...validity(days) }, signer)).raw
    })
    const next = { certificate: new X509Certificate(der), signer: signerOf(successor) }
    const [newWithOld, oldWithNew] = await Promise.all([update(next, old), update(old, next)])
    return { keyId: successor.id, certificate: next.certificate.toString(), newWithOld, oldWithNew }
  }
}

/** Lives as long as both do. */
async function update(subject: Authority, issuer: Authority): Promise<string> {
  const { notBefore, notAfter } = validity(36_525, issuer.certificate)
  const end = new Date(Math.min(notAfter.getTime(), subject.certificate.validToDate.getTime()))
  const certificate = await issueCertificate(
    {
      profile: 'ca-key-update',
      subject: namesOf(subject.certificate).subject,
      publicKey: subject.certificate.publicKey,
      serial: newSerial(),
      issuer: { certificate: issuer.certificate },
      notBefore,
      notAfter: end
    },
    issuer.signer
  )
  return certificate.toString()
}
