/** The guide's blue note as a live check: a certificate that was given fits its key and address, and leads to a trusted root. */
import { type Check, defineCheck } from '../checks/check.ts'
import { serviceAddress } from '../deploy/addresses.ts'
import { type GivenCertificateFacts, judgeCertificate } from './given-certificate.ts'
import type { GivenCertificate } from './host-fields.ts'
import type { HostQuestion } from './host-question.ts'

const deadlineMs = 10_000

export function certificateGood<Answers extends GivenCertificate>({
  service,
  addressOf
}: HostQuestion<Answers>): Check<Answers> {
  const at = (date: Date | null) => date?.toISOString().slice(0, 10) ?? 'an unknown day'
  const whole =
    'Paste the whole chain that belongs to the private key, or leave both empty: the internal CA issues one.'
  return defineCheck<Answers, GivenCertificateFacts | null>({
    id: `${service}.certificate`,
    title: 'Certificate',
    deadlineMs,
    field: 'certificate',
    fix: whole,
    observe: async (answers) => {
      const { certificate, certificateKey } = answers
      if (certificate === undefined || certificateKey === undefined) return null
      return judgeCertificate(certificate, certificateKey, serviceAddress(service, addressOf(answers)).host)
    },
    outcomes: [
      {
        verdict: 'info',
        when: (seen) => seen === null,
        say: 'The internal CA will issue a certificate. Browsers warn until they know that CA; its certificate is shown at the end of setup.'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'key-unreadable',
        say: 'The private key cannot be read.',
        fix: 'Paste it as PEM without a passphrase.',
        field: 'certificateKey'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'key-mismatch',
        say: 'The private key does not belong to the certificate.',
        fix: 'The server certificate must stand first, before intermediate ones.',
        field: 'certificateKey'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'wrong-name',
        say: (seen) => `The certificate is not for ${seen?.host} but for ${seen?.names}.`,
        fix: 'Use a certificate with this name, or enter the address that it names.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'expired',
        say: (seen) => `The certificate of ${seen?.host} expired on ${at(seen?.notAfter ?? null)}.`,
        fix: 'Renew it.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'not-yet-valid',
        say: (seen) => `The certificate of ${seen?.host} is not valid yet.`,
        fix: 'Look at the clock of this machine.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem != null,
        say: (seen) => `Certificate of ${seen?.host} is not trusted.`,
        fix: `It must lead to a root that this system trusts (update-ca-certificates). ${whole}`,
        field: 'certificate',
        guide: 'Guide: note on HTTPS under KMS Host Address'
      },
      {
        verdict: 'pass',
        say: (seen) => `The certificate is good for ${seen?.host} until ${at(seen?.notAfter ?? null)}.`
      }
    ]
  })
}
