import { defineStep } from '../define-step.ts'
import { certificateViews } from '../host-fields.ts'
import { type CpAnswers, cpAnswers } from './answers.ts'

export const cpStep = defineStep<'cp', CpAnswers>({
  id: 'cp',
  title: 'CP Deployment',
  heading: 'CP Host Information',
  intro:
    'Please answer the following questions to configure the Control Panel (CP), where administrators work after setup.',
  answers: cpAnswers,
  fields: {
    cpHost: {
      label: 'CP Host Address',
      control: 'text',
      placeholder: 'Example: https://cp.serverfarm.com',
      hint: 'The address, with its protocol, where administrators open the Control Panel. The host name must resolve by DNS or /etc/hosts.',
      autocomplete: 'off',
      prefillFrom: 'kms.kmsHost'
    },
    ...certificateViews
  },
  checks: async () => (await import('./checks.ts')).cpChecks,
  makesStale: ['complete'],
  starts: 'cp',
  effects: () => [
    { kind: 'certificate', name: 'cp', of: ['cpHost'] },
    { kind: 'service', name: 'cp' }
  ],
  undo: async () => (await import('../undo-service.ts')).undoDeployment,
  plan: () => [
    'Issue the certificates of the Control Panel from the internal CA',
    'Deploy the Control Panel and prove that the first administrator can log in'
  ],
  apply: async () => (await import('./apply.ts')).applyCp
})
