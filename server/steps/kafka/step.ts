/** Step 7: the brokers that device events go to. */
import { defineStep } from '../define-step.ts'
import { type KafkaAnswers, kafkaAnswers, topicsOf } from './answers.ts'

const sasl = { field: 'security', is: ['SASL_SSL'] }
const tls = { field: 'security', is: ['SSL', 'SASL_SSL'] }

export const kafkaStep = defineStep<'kafka', KafkaAnswers>({
  id: 'kafka',
  title: 'Apache Kafka Configuration',
  intro: 'Please answer the following questions to configure the brokers that device events are sent to.',
  answers: kafkaAnswers,
  fields: {
    brokers: {
      label: 'Kafka Brokers',
      control: 'textarea',
      initial: '127.0.0.1:9092',
      hint: 'host:port, one a line; up to 16. A few of the cluster are enough.'
    },
    security: {
      label: 'Security Protocol',
      control: 'select',
      initial: 'PLAINTEXT',
      options: [
        { value: 'PLAINTEXT', label: 'PLAINTEXT (no encryption)' },
        { value: 'SSL', label: 'SSL' },
        { value: 'SASL_SSL', label: 'SASL_SSL (user name and password over TLS)' }
      ]
    },
    mechanism: {
      label: 'SASL Mechanism',
      control: 'select',
      initial: 'scram-sha-512',
      options: [
        { value: 'scram-sha-512', label: 'SCRAM-SHA-512' },
        { value: 'scram-sha-256', label: 'SCRAM-SHA-256' },
        { value: 'plain', label: 'PLAIN' }
      ],
      onlyWhen: sasl
    },
    username: { label: 'User Name', control: 'text', autocomplete: 'off', onlyWhen: sasl },
    password: {
      label: 'Password',
      control: 'password',
      secret: true,
      autocomplete: 'current-password',
      onlyWhen: sasl
    },
    ca: {
      label: 'CA Certificate',
      control: 'textarea',
      optional: true,
      hint: 'PEM; empty: the roots that this system trusts.',
      onlyWhen: tls
    },
    topicPrefix: { label: 'Topic Prefix', control: 'text', initial: 'keyscaler' },
    partitions: { label: 'Partitions', control: 'number', initial: '4' },
    replication: {
      label: 'Replication Factor',
      control: 'number',
      initial: '1',
      hint: 'Copies of each event in the cluster: 3 where there are three brokers.'
    }
  },
  checks: async () => [(await import('./checks.ts')).kafkaLadder],
  makesStale: ['dae', 'mqs'],
  // Protocol, mechanism and CA decide who could read it on the way.
  secretsBoundTo: ['brokers', 'username', 'security', 'mechanism', 'ca'],
  apply: async () => (await import('./apply.ts')).applyKafka,
  ahead: async () => (await import('../../../lib/broker/kafkajs.ts')).kafkajs(),
  effects: ({ topicPrefix }) => Object.values(topicsOf(topicPrefix)).map((name) => ({ kind: 'topic', name })),
  undo: async () => (await import('./undo.ts')).undoKafka,
  plan: ({ topicPrefix = 'keyscaler', partitions, replication }) => {
    const { deviceTopic, probeTopic } = topicsOf(topicPrefix)
    const parts = partitions === 1 ? '1 partition' : `${partitions} partitions`
    const size = partitions === undefined ? '' : ` (${parts}, replication factor ${replication ?? 1})`
    return [
      `Creates topics ${deviceTopic} and ${probeTopic} where they do not exist${size}; one with fewer partitions gets the others`
    ]
  }
})
