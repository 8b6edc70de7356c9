import { z } from 'zod'
import { defineStep } from '../define-step.ts'
import { completeChecks } from './checks.ts'

const completeAnswers = z.strictObject({})

type CompleteAnswers = z.infer<typeof completeAnswers>

export const completeStep = defineStep<'complete', CompleteAnswers>({
  id: 'complete',
  title: 'Setup Complete!',
  intro: 'Every service is looked at once more; then setup is locked.',
  answers: completeAnswers,
  fields: {},
  checks: completeChecks,
  makesStale: [],
  plan: () => ['Lock setup; to reopen it: keyscaler unlock']
})
