/**
 * A device exchanges its certificate for a newer one (RFC 7030 4.2.2), with the same key or another: it shows the one that it
 * has in TLS, which proves its key, and asks for the same subject and alternative names. After a CA was followed by another
 * this is how devices come over.
 */
import type { X509Certificate } from 'node:crypto'
import { Counter, type Registry } from 'prom-client'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { encodeAltNames } from '../../lib/x509/alt-names.ts'
import { namesOf } from '../../lib/x509/certificate-fields.ts'
import type { Csr } from '../../lib/x509/csr.ts'
import { encodeName } from '../../lib/x509/name.ts'
import { acceptableRequest } from './acceptable-request.ts'
import type { Authority } from './authority.ts'
import type { KnownDevice, ReenrolmentRecord } from './reenrolment-record.ts'
import { sameKey, signedCertificate } from './signed-certificate.ts'

export interface Reenrolment {
  /** @throws AppError forbidden without a certificate, and for one that was not issued here or is not good now */
  readonly authenticate: (shown: X509Certificate | null) => Promise<KnownDevice>
  /**
   * @param tlsUnique see acceptableRequest
   * @throws AppError invalid-input for a bad request or other names, forbidden for another key when it was exchanged already,
   * conflict while another exchange is on its way, service-unavailable without the KMS
   */
  readonly exchange: (device: KnownDevice, body: string, tlsUnique: string | null) => Promise<X509Certificate>
}

export interface ReenrolmentParts {
  readonly kms: Pick<KmsClient, 'issueDeviceCertificate'>
  readonly authority: Authority
  readonly record: ReenrolmentRecord
  readonly metrics: Registry
}

export function openReenrolment({ kms, authority, record, metrics }: ReenrolmentParts): Reenrolment {
  const exchanges = new Counter({
    name: 'dae_reenrolments_total',
    help: 'Exchanges of a device certificate by outcome',
    labelNames: ['outcome'],
    registers: [metrics]
  })
  const refused = (say: string) => {
    exchanges.inc({ outcome: 'refused' })
    return new AppError('forbidden', say)
  }

  return {
    authenticate: async (shown) => {
      if (shown === null) throw refused('Show the certificate that the device has, in TLS.')
      const now = new Date()
      const isGood = shown.validFromDate <= now && now <= shown.validToDate
      const device = isGood ? await record.find(shown) : null
      if (device === null) throw refused('This certificate was not issued here, or is not good now.')
      return device
    },
    exchange: async (device, body, tlsUnique) => {
      const csr = acceptableRequest(body, device.name, tlsUnique)
      if (!sameNames(device.certificate, csr)) {
        exchanges.inc({ outcome: 'refused' })
        throw new AppError(
          'invalid-input',
          'Subject and alternative names must be those of the certificate (RFC 7030 4.2.2).'
        )
      }
      if (device.newer !== null) {
        // Our answer was lost: the same request again is answered as before. With another key it is somebody else, or too late.
        if (!sameKey(device.newer, csr)) throw refused('This certificate was exchanged already; use the newer one.')
        exchanges.inc({ outcome: 'repeated' })
        return device.newer
      }
      const ca = await authority.ca()
      const serial = await record.claim(device, ca.keyId)
      try {
        const request = { csr: body, commonName: device.name, serial, days: ca.deviceDays }
        const certificate = await signedCertificate(kms, ca.keyId, request, csr)
        await record.complete(device, serial, certificate)
        exchanges.inc({ outcome: 'exchanged' })
        return certificate
      } catch (thrown) {
        exchanges.inc({ outcome: 'failed' })
        await record.giveUp(device, serial)
        throw thrown
      }
    }
  }
}

/** As encoded: what is written otherwise is another name. Kinds that we never issue are no names of ours. */
function sameNames(certificate: X509Certificate, { subject, requestedNames }: Csr): boolean {
  const has = namesOf(certificate)
  const sameAltNames =
    requestedNames.others === 0 &&
    (encodeAltNames(has) ?? Buffer.alloc(0)).equals(encodeAltNames(requestedNames) ?? Buffer.alloc(0))
  return sameAltNames && encodeName(has.subject).equals(encodeName(subject))
}
