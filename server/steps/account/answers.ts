/** What the account step asks. */
import { z } from 'zod'
import { text } from '../answer-fields.ts'
import { passwordProblem } from './password.ts'

const fields = z.strictObject({
  tenant: text('Account Name').regex(/^[A-Za-z0-9-]{3,63}$/, 'Account Name must be 3–63 letters, digits or hyphens.'),
  fullName: text('Full Name')
    .max(100, 'Full Name must have at most 100 characters.')
    .regex(/^[^\p{C}<>]*$/u, 'Full Name must be letters, spaces and usual signs.'),
  // Lower case, so that one person cannot have two accounts; CP lowers what is typed at login.
  email: text('E-mail')
    .max(254, 'E-mail must have at most 254 characters.')
    .toLowerCase()
    .pipe(z.email('E-mail must be an e-mail address.')),
  password: text('Password').max(1024, 'Password must have 12–128 characters.'),
  passwordAgain: text('Password (again)')
})

export type AccountAnswers = z.infer<typeof fields>

const bothTyped = z.looseObject({ password: z.string().min(1), passwordAgain: z.string().min(1) })

export const accountAnswers: z.ZodType<AccountAnswers> = fields.superRefine(
  ({ email, password, passwordAgain }, context) => {
    const say = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const problem = passwordProblem(password, fields.shape.email.safeParse(email).data ?? '')
    if (problem !== null) say('password', problem)
    if (passwordAgain !== password) say('passwordAgain', 'The passwords do not match.')
  },
  // Beside other faults too: whoever mends the account name should not hear only then that the passwords differ.
  { when: ({ value }) => bothTyped.safeParse(value).success }
)
