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
  apply: async (_answers, context) => {
    const { drillRecovery } = await import('./recovery-drill.ts')
    await drillRecovery(context)
    // Before setup is finished: a record that cannot be signed is a step that can be tried again.
    context.report('Signing key of the install record in the key store')
    const { tenant } = await context.answersOf('account')
    const kms = await context.kms()
    await kms.createSigningKey(String(tenant))
    return {}
  }
})
