/** Step 5: the tenant and its first administrator. */
import { defineStep } from '../define-step.ts'
import { type AccountAnswers, accountAnswers } from './answers.ts'
import { isKeptPassword, keptPassword } from './password.ts'

export const accountStep = defineStep<'account', AccountAnswers>({
  id: 'account',
  title: 'Account Creation',
  intro: 'Please answer the following questions to create the account and its first administrator.',
  answers: accountAnswers,
  fields: {
    tenant: {
      label: 'Account Name',
      control: 'text',
      hint: '3–63 letters, digits or hyphens.',
      autocomplete: 'organization'
    },
    fullName: { label: 'Full Name', control: 'text', autocomplete: 'name' },
    email: { label: 'E-mail', control: 'text', hint: 'The name to log in with.', autocomplete: 'email' },
    password: {
      label: 'Password',
      control: 'password',
      secret: true,
      hint: '12–128 characters; a few words that only you would put together are good.',
      autocomplete: 'new-password'
    },
    passwordAgain: { label: 'Password (again)', control: 'password', secret: true, autocomplete: 'new-password' }
  },
  checks: async () => [(await import('./checks.ts')).accountFree],
  makesStale: ['license', 'dae', 'cp'],
  keep: keptPassword,
  isKept: isKeptPassword,
  effects: ({ tenant, email }) => [
    { kind: 'tenant', name: tenant, of: ['tenant'] },
    { kind: 'key', name: `tenant/${tenant}`, of: ['tenant'] },
    { kind: 'administrator', name: email },
    { kind: 'credential', name: `participant/${tenant}`, of: ['tenant'] }
  ],
  apply: async () => (await import('./apply.ts')).applyAccount,
  undo: async () => (await import('./undo.ts')).undoAccount,
  plan: ({ tenant, email }) => [
    `Creates account ${tenant ?? ''} with a key of its own in the key store`.replace('  ', ' '),
    `Creates the first administrator${email === undefined ? '' : ` ${email}`}`,
    'Makes a participant ID and secret for API callers, shown once on the next page'
  ]
})
