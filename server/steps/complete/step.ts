import { z } from 'zod'
import { defineStep } from '../define-step.ts'
import { completeChecks } from './checks.ts'
import { drillRecovery } from './recovery-drill.ts'

const completeAnswers = z.strictObject({})

type CompleteAnswers = z.infer<typeof completeAnswers>

export const completeStep = defineStep<'complete', CompleteAnswers>({
  id: 'complete',
  title: 'Setup Complete!',
  intro:
    'Every service is looked at once more, and the KMS proves after a restart that what it encrypted can be opened; then setup is locked.',
  answers: completeAnswers,
  fields: {},
  checks: completeChecks,
  makesStale: [],
  plan: () => [
    'Recovery drill: encrypt under the master key, restart the KMS, decrypt',
    'Lock setup; to reopen it: keyscaler unlock'
  ],
  apply: async (_answers, context) => {
    await drillRecovery(context)
    return {}
  }
})
