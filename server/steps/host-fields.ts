/** What the four deployment steps ask alike: the service's address, and a certificate where one is to be used. */
import { z } from 'zod'
import { addressProblem } from '../deploy/addresses.ts'
import type { FieldView } from './step.ts'

export const missing = (label: string) => `You must provide a value for ${label}.`

/** A text that must be there. @param label as the guide's message has it */
export function required(label: string) {
  return z.string({ error: missing(label) }).min(1, missing(label))
}

/** A whole number, as JSON has it or as a form sends it. */
export function wholeNumber(label: string, least: number, most: number) {
  const range = `${label} must be a whole number from ${least} to ${most}.`
  const error = (issue: { readonly input?: unknown }) =>
    issue.input === undefined || issue.input === '' ? missing(label) : range
  return z.preprocess(
    (typed) => (typeof typed === 'string' && /^\d{1,15}$/.test(typed) ? Number(typed) : typed),
    z.int({ error }).min(least, range).max(most, range)
  )
}

/** @param label "Kms Hostname": the guide's message names it so */
export function hostAddress(label: string) {
  return required(label).superRefine((typed, context) => {
    const problem = addressProblem(typed)
    if (problem !== null && typed !== '') context.addIssue({ code: 'custom', message: problem })
  })
}

const pem = (kind: string, pattern: RegExp) =>
  z.string().max(64_000, `The ${kind} is too long.`).regex(pattern, `Paste the ${kind} as PEM text.`)

/** Certificate and key stand or fall together; absent: the internal CA issues one. */
export const certificateFields = {
  certificate: pem('certificate', /-----BEGIN CERTIFICATE-----/).optional(),
  certificateKey: pem('private key', /-----BEGIN (RSA |EC )?PRIVATE KEY-----/).optional()
}

interface GivenCertificate {
  readonly certificate?: string | undefined
  readonly certificateKey?: string | undefined
}

/** Names the missing half when only one of certificate and key was given. */
export const bothOrNeither = z.superRefine<GivenCertificate>((answers, context) => {
  const { certificate, certificateKey } = answers
  if ((certificate === undefined) === (certificateKey === undefined)) return
  const path = certificate === undefined ? 'certificate' : 'certificateKey'
  const label = certificate === undefined ? 'Certificate' : 'Private key'
  context.addIssue({ code: 'custom', path: [path], message: missing(label) })
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
    hint: 'PEM, without a passphrase. It is kept in a file that only the service can read.',
    placeholder: '-----BEGIN PRIVATE KEY-----',
    secret: true,
    optional: true,
    autocomplete: 'off',
    folded: 'Certificate'
  }
} as const satisfies Readonly<Record<string, FieldView>>
