import { z } from 'zod'
import { defineStep } from '../define-step.ts'

const completeAnswers = z.strictObject({})

type CompleteAnswers = z.infer<typeof completeAnswers>

export const completeStep = defineStep<'complete', CompleteAnswers>({
  id: 'complete',
  title: 'Setup Complete!',
  intro:
    'Every service is looked at once more, and the KMS proves after a restart that what it encrypted can be opened; then setup is locked.',
  answers: completeAnswers,
  fields: {},
  checks: async () => (await import('./checks.ts')).completeChecks,
  makesStale: [],
  starts: 'kms',
  plan: () => [
    'Recovery drill: encrypt under the master key, restart the KMS, decrypt',
    "Creates the account's signing key in the key store, and signs the install record with it",
    'Lock setup; to reopen it: keyscaler unlock'
  ],
  apply: async () => (await import('./apply.ts')).applyComplete
})
