/** The answers of step 8. */
import { z } from 'zod'
import { AppError } from '../../../lib/errors/app-error.ts'
import { parseName } from '../../../lib/x509/name.ts'
import { missing, oneText, wholeNumber } from '../answer-fields.ts'
import { bothOrNeither, certificateFields, hostAddress } from '../host-fields.ts'

export const daeAnswers = z
  .strictObject({
    daeHost: hostAddress('Dae Hostname'),
    estLabel: z
      .string(oneText('EST label', missing('EST label')))
      .regex(/^[a-z0-9-]{1,32}$/, 'The EST label has at most 32 lower-case letters, digits and hyphens.')
      .optional(),
    caSubject: z
      .string(oneText('CA subject', missing('CA subject')))
      .superRefine((typed, context) => {
        const problem = nameProblem(typed)
        if (problem !== null) context.addIssue({ code: 'custom', message: problem })
      })
      .optional(),
    caKey: z.enum(['EC-P256', 'EC-P384', 'RSA-3072'], { error: 'Choose a CA key.' }).default('EC-P256'),
    caDays: wholeNumber('CA certificate days', 1, 36_500, 3650),
    deviceDays: wholeNumber('Device certificate days', 1, 36_500, 365),
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

function nameProblem(typed: string): string | null {
  try {
    const named = parseName(typed).some(({ type }) => type === 'CN')
    return named ? null : 'The CA subject must have a common name, for example CN=Acme Device CA.'
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.message
    throw thrown
  }
}

export type DaeAnswers = z.infer<typeof daeAnswers>
