/** The answers of step 3: one shape for the HSM, one for the software store; labels and messages as in the guide. */
import { z } from 'zod'
import { checkbox, missing, optionalText, text } from '../answer-fields.ts'
import { bothOrNeither, certificateFields, hostAddress } from '../host-fields.ts'

const slotRange = 'The slot number must be a whole number from 0 to 4294967295.'

const slot = z.preprocess(
  (typed) => (typeof typed === 'string' && /^\d{1,10}$/.test(typed) ? Number(typed) : typed),
  z
    .int({
      error: (issue) =>
        issue.input === undefined || issue.input === '' ? missing('Gemalto SafeNet Slot Number') : slotRange
    })
    .min(0, slotRange)
    .max(0xffff_ffff, slotRange)
)

/** Luna and DPoD take no `?` or `"` in labels and no `"` in passwords (Thales documentation). */
const partition = text('Gemalto SafeNet Partition Name')
  .max(32, 'A partition name has at most 32 characters.')
  .regex(/^[^?"]*$/, 'A partition name has no ? and no ".')

const password = text('Gemalto SafeNet KeyStore Password')
  .min(7, 'The Crypto Officer password has at least 7 characters.')
  .max(255, 'The Crypto Officer password has at most 255 characters.')
  .regex(/^[^"]*$/, 'The Crypto Officer password has no ".')

/** A path that may be written into a parameter string of NSS: quotes and backslashes would end it (and crash NSS). */
const folder = (label: string) =>
  text(label).regex(/^\/[^"'\\\n\r]*$/, `${label} must be an absolute path without quotes or backslashes.`)

/**
 * The name of the partition, typed to send a password although the token says that one more wrong one locks it. An object,
 * so that it is neither shown again nor kept with the secrets: a confirmation is meant for one submission.
 */
const confirmLabel = z
  .preprocess(
    (raw) => (raw === '' ? undefined : raw),
    z
      .string({ error: 'The partition name must be given once, as text.' })
      .max(32, 'A partition name has at most 32 characters.')
      .transform((label) => ({ label }))
      .optional()
  )
  .optional()

const shared = {
  kmsHost: hostAddress('Kms Hostname'),
  library: folder('PKCS#11 library').optional(),
  masterKey: z
    .enum(['generate', 'use-existing'], { error: 'Choose what to do about the master key.' })
    .default('generate'),
  ...certificateFields
}

const gemalto = z
  .strictObject({
    keyStore: z.literal('gemalto-safenet'),
    slot,
    partition,
    serial: optionalText('Partition Serial Number', 32),
    password,
    confPath: folder('Chrystoki.conf folder').optional(),
    sendAgain: checkbox('Send the password all the same'),
    confirmLabel,
    ...shared
  })
  .check(bothOrNeither)

const nss = z
  .strictObject({
    keyStore: z.literal('nss'),
    nssFolder: folder('Key store folder'),
    nssPassword: text('Key store password')
      .min(12, 'The key store password has at least 12 characters.')
      .max(255, 'The key store password has at most 255 characters.'),
    nssPasswordAgain: text('Key store password again'),
    ...shared
  })
  .check(
    bothOrNeither,
    z.superRefine((answers, context) => {
      if (answers.nssPassword === answers.nssPasswordAgain) return
      context.addIssue({ code: 'custom', path: ['nssPasswordAgain'], message: 'The passwords do not match.' })
    })
  )

export const kmsAnswers = z.discriminatedUnion('keyStore', [gemalto, nss], { error: 'Choose a key store.' })

export type KmsAnswers = z.infer<typeof kmsAnswers>
export type GemaltoAnswers = z.infer<typeof gemalto>
