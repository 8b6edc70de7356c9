import { defineStep } from '../define-step.ts'
import { certificateViews } from '../host-fields.ts'
import { type DaeAnswers, daeAnswers } from './answers.ts'

export const daeStep = defineStep<'dae', DaeAnswers>({
  id: 'dae',
  title: 'DAE Deployment',
  heading: 'DAE Host Information',
  intro:
    'Please answer the following questions to configure the Device Authority Engine (DAE). It registers devices and gives them certificates over EST (RFC 7030).',
  answers: daeAnswers,
  fields: {
    daeHost: {
      label: 'DAE Host Address',
      control: 'text',
      placeholder: 'Example: https://dae.serverfarm.com',
      hint: 'The address, with its protocol, where devices reach the DAE. The host name must resolve by DNS or /etc/hosts.',
      autocomplete: 'off',
      prefillFrom: 'kms.kmsHost'
    },
    estLabel: {
      label: 'EST label',
      control: 'text',
      hint: 'Only where clients ask for /.well-known/est/<label>; lower-case letters, digits and hyphens.',
      autocomplete: 'off',
      optional: true,
      folded: 'Certificate authority'
    },
    caSubject: {
      label: 'CA subject',
      control: 'text',
      placeholder: 'CN=<account name> Device CA',
      hint: 'Empty: CN=<account name> Device CA.',
      autocomplete: 'off',
      optional: true,
      folded: 'Certificate authority'
    },
    caKey: {
      label: 'CA key',
      control: 'select',
      initial: 'EC-P256',
      options: [
        { value: 'EC-P256', label: 'EC P-256' },
        { value: 'EC-P384', label: 'EC P-384' },
        { value: 'RSA-3072', label: 'RSA 3072' }
      ],
      optional: true,
      folded: 'Certificate authority'
    },
    caDays: {
      label: 'CA certificate days',
      control: 'number',
      initial: '3650',
      optional: true,
      folded: 'Certificate authority'
    },
    deviceDays: {
      label: 'Device certificate days',
      control: 'number',
      initial: '365',
      hint: 'Not longer than the CA certificate.',
      optional: true,
      folded: 'Certificate authority'
    },
    ...certificateViews
  },
  checks: async () => (await import('./checks.ts')).daeChecks,
  makesStale: ['cp', 'complete'],
  starts: 'dae',
  effects: (_answers, { account }) => [
    { kind: 'certificate-authority', name: `tenant/${account?.tenant}` },
    { kind: 'certificate', name: 'dae', of: ['daeHost'] },
    { kind: 'service', name: 'dae' }
  ],
  undo: async () => (await import('./undo.ts')).undoDae,
  plan: (answers) => [
    `Create (or adopt) the tenant's device CA, ${answers.caKey ?? 'EC-P256'}, key in the token`,
    'Issue the certificates of the DAE from the internal CA',
    'Deploy the DAE and wait until /cacerts verifies'
  ],
  apply: async () => (await import('./apply.ts')).applyDae
})
