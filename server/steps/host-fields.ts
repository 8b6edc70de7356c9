/** What the four deployment steps ask alike: the service's address, and a certificate where one is to be used. */
import { z } from 'zod'
import { addressProblem } from '../deploy/addresses.ts'
import { missing, optionalCertificates, text } from './answer-fields.ts'
import type { FieldView } from './step.ts'

/** @param label "Kms Hostname": the guide's message names it so */
export function hostAddress(label: string) {
  return text(label).superRefine((typed, context) => {
    const problem = addressProblem(typed)
    if (problem !== null && typed !== '') context.addIssue({ code: 'custom', message: problem })
  })
}

const privateKey = z
  .string({ error: 'Private key must be given once, as text.' })
  .max(65_536, 'Private key must be at most 64 kB.')
  .regex(
    /^\s*-----BEGIN (RSA |EC )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (RSA |EC )?PRIVATE KEY-----\s*$/,
    'Private key must be one key in PEM form, without a passphrase (-----BEGIN PRIVATE KEY-----).'
  )

/** Certificate and key stand or fall together; absent: the internal CA issues one. */
export const certificateFields = {
  certificate: optionalCertificates('Certificate'),
  certificateKey: privateKey.optional()
}

export interface GivenCertificate {
  /** The server certificate, then what stands between it and its root. */
  readonly certificate?: string | undefined
  readonly certificateKey?: string | undefined
}

/** Names the missing half when only one of certificate and key was given. */
export const bothOrNeither = z.superRefine<GivenCertificate>((answers, context) => {
  const { certificate, certificateKey } = answers
  if ((certificate === undefined) === (certificateKey === undefined)) return
  const path = certificate === undefined ? 'certificate' : 'certificateKey'
  context.addIssue({ code: 'custom', path: [path], message: missing(certificateViews[path].label) })
})

export const certificateViews = {
  certificate: {
    label: 'Certificate',
    control: 'textarea',
    hint: 'PEM: the server certificate, then any intermediate certificates. Empty: the internal CA issues one.',
    placeholder: '-----BEGIN CERTIFICATE-----',
    optional: true,
    folded: 'Certificate'
  },
  certificateKey: {
    label: 'Private key',
    control: 'textarea',
    hint: 'PEM, without a passphrase. It is kept where only the service can read it.',
    placeholder: '-----BEGIN PRIVATE KEY-----',
    secret: true,
    optional: true,
    autocomplete: 'off',
    folded: 'Certificate'
  }
} as const satisfies Readonly<Record<string, FieldView>>
