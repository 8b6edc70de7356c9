import { defineStep } from '../define-step.ts'
import { certificateViews } from '../host-fields.ts'
import { type MqsAnswers, mqsAnswers } from './answers.ts'

export const mqsStep = defineStep<'mqs', MqsAnswers>({
  id: 'mqs',
  title: 'Message Queue Service Deployment',
  heading: 'MQS Host Information',
  intro:
    'Please answer the following questions to configure the Message Queue Service (MQS). It relays the events of devices to Apache Kafka.',
  answers: mqsAnswers,
  fields: {
    mqsHost: {
      label: 'MQS Host Address',
      control: 'text',
      placeholder: 'Example: https://mqs.serverfarm.com',
      hint: 'The address, with its protocol, where the MQS will be. The host name must resolve by DNS or /etc/hosts.',
      autocomplete: 'off',
      prefillFrom: 'kms.kmsHost'
    },
    ...certificateViews
  },
  checks: async () => (await import('./checks.ts')).mqsChecks,
  makesStale: ['cp', 'complete'],
  starts: 'mqs',
  effects: () => [
    { kind: 'certificate', name: 'mqs', of: ['mqsHost'] },
    { kind: 'service', name: 'mqs' }
  ],
  undo: async () => (await import('../undo-service.ts')).undoDeployment,
  plan: () => [
    'Issue the certificates of the MQS from the internal CA',
    'Deploy the MQS and wait until a probe event has travelled from the outbox to Kafka'
  ],
  apply: async () => (await import('./apply.ts')).applyMqs
})
