/**
 * From a certificate request to a certificate on record (certificate-record.ts). What a device holds is what the database
 * says and what Kafka will be told; a device that lost our answer asks again, with the same key, and gets the same one.
 */
import type { X509Certificate } from 'node:crypto'
import { Counter, type Registry } from 'prom-client'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { acceptableRequest } from './acceptable-request.ts'
import type { Authority } from './authority.ts'
import type { CertificateRecord } from './certificate-record.ts'
import type { Registration, Registrations } from './registrations.ts'
import { sameKey, signedCertificate } from './signed-certificate.ts'

export interface Enrolment {
  /** @throws AppError unauthenticated for an unknown device, a wrong secret and an expired one alike */
  readonly authenticate: (deviceName: string, secret: string) => Promise<Registration>
  /**
   * @param body the request as it came (base64 or PEM)
   * @param tlsUnique see acceptableRequest
   * @throws AppError invalid-input for a bad request, unauthenticated for a used secret and another key, conflict while
   * another enrolment has the registration, service-unavailable without the KMS
   */
  readonly enrol: (registration: Registration, body: string, tlsUnique: string | null) => Promise<X509Certificate>
}

export interface EnrolmentParts {
  readonly kms: Pick<KmsClient, 'issueDeviceCertificate'>
  readonly authority: Authority
  readonly registrations: Registrations
  readonly record: CertificateRecord
  readonly metrics: Registry
}

export function openEnrolment({ kms, authority, registrations, record, metrics }: EnrolmentParts): Enrolment {
  const enrolments = new Counter({
    name: 'dae_enrolments_total',
    help: 'Enrolments by outcome',
    labelNames: ['outcome'],
    registers: [metrics]
  })
  const refused = () => {
    enrolments.inc({ outcome: 'refused' })
    return new AppError('unauthenticated', 'Device name or enrolment secret is not valid.')
  }

  return {
    authenticate: async (deviceName, secret) => {
      const registration = await registrations.find(deviceName, secret)
      if (registration === null) throw refused()
      return registration
    },
    enrol: async (registration, body, tlsUnique) => {
      const csr = acceptableRequest(body, registration.deviceName, tlsUnique)
      if (registration.usedAt !== null) {
        const before = await record.issued(registration)
        if (before === null || !sameKey(before, csr)) throw refused()
        enrolments.inc({ outcome: 'repeated' })
        return before
      }
      const ca = await authority.ca()
      const serial = await record.claim(registration, ca.keyId)
      try {
        const request = { csr: body, commonName: registration.deviceName, serial, days: ca.deviceDays }
        const certificate = await signedCertificate(kms, ca.keyId, request, csr)
        await record.complete(registration, serial, certificate)
        enrolments.inc({ outcome: 'enrolled' })
        return certificate
      } catch (thrown) {
        enrolments.inc({ outcome: 'failed' })
        await record.giveUp(registration, serial)
        throw thrown
      }
    }
  }
}
