/** Step 1: what this server is, what to have at hand, and the terms. Next opens the install. */
import { z } from 'zod'
import { checkbox } from '../answer-fields.ts'
import { defineStep } from '../define-step.ts'

const answers = z.strictObject({
  acceptTerms: checkbox('Terms of Use').refine((accepted) => accepted, {
    error: 'You must accept the terms to continue.'
  })
})

export type WelcomeAnswers = z.infer<typeof answers>

export const welcomeStep = defineStep<'welcome', WelcomeAnswers>({
  id: 'welcome',
  title: 'Welcome',
  intro: 'This wizard will step you through installation and setup of KeyScaler.',
  answers,
  fields: {
    acceptTerms: { label: 'I accept the Terms of Use', control: 'checkbox' }
  },
  checks: async () => [(await import('./checks.ts')).hostLadder],
  makesStale: [],
  plan: () => ['Opens the setup of this server; nothing is installed yet']
})
