/** The answers of step 8. */
import { z } from 'zod'
import { bothOrNeither, certificateFields, hostAddress, wholeNumber } from '../host-fields.ts'

export const daeAnswers = z
  .strictObject({
    daeHost: hostAddress('Dae Hostname'),
    estLabel: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/, 'The EST label has at most 32 lower-case letters, digits and hyphens.')
      .optional(),
    caSubject: z
      .string()
      .max(200, 'The CA subject has at most 200 characters.')
      .regex(/(^|,)\s*CN\s*=\s*[^,\s]/i, 'The CA subject must hold a common name, for example CN=Acme Device CA.')
      .optional(),
    caKey: z.enum(['EC-P256', 'EC-P384', 'RSA-3072'], { error: 'Choose a CA key.' }).default('EC-P256'),
    caDays: wholeNumber('CA certificate days', 1, 36_500).default(3650),
    deviceDays: wholeNumber('Device certificate days', 1, 36_500).default(365),
    ...certificateFields
  })
  .check(
    bothOrNeither,
    z.superRefine((answers, context) => {
      if (answers.deviceDays <= answers.caDays) return
      const message = 'A device certificate must not outlive its CA: at most as many days as the CA certificate.'
      context.addIssue({ code: 'custom', path: ['deviceDays'], message })
    })
  )

export type DaeAnswers = z.infer<typeof daeAnswers>
