/** What the Kafka step asks, and how its answers become broker settings. */
import { z } from 'zod'
import type { BrokerSettings } from '../../../lib/broker/broker.ts'
import { optionalCertificates, servers, text, wholeNumber } from '../answer-fields.ts'

const common = {
  brokers: servers('Kafka Brokers', 9092),
  // 190: the topic's column in the outbox, minus the longest of our topic names.
  topicPrefix: z.preprocess(
    (raw) => raw ?? 'keyscaler',
    text('Topic Prefix').regex(
      /^[A-Za-z0-9._-]{1,100}$/,
      'Topic Prefix must be 1–100 letters, digits, dots, underscores or hyphens.'
    )
  ),
  partitions: wholeNumber('Partitions', 1, 1000, 4),
  replication: wholeNumber('Replication Factor', 1, 15, 1)
}

const mechanism = z.enum(['plain', 'scram-sha-256', 'scram-sha-512'], { error: 'Choose a SASL mechanism.' })

export const kafkaAnswers = z.discriminatedUnion(
  'security',
  [
    z.strictObject({ security: z.literal('PLAINTEXT'), ...common }),
    z.strictObject({ security: z.literal('SSL'), ...common, ca: optionalCertificates('CA Certificate') }),
    z.strictObject({
      security: z.literal('SASL_SSL'),
      ...common,
      mechanism,
      username: text('User Name').max(256, 'User Name must have at most 256 characters.'),
      password: text('Password').max(1024, 'Password must have at most 1024 characters.'),
      ca: optionalCertificates('CA Certificate')
    })
  ],
  { error: 'Choose a security protocol.' }
)

export type KafkaAnswers = z.infer<typeof kafkaAnswers>

/** The two topics of an install: device events, and the probes that prove the way to them. */
export function topicsOf(prefix: string): { readonly deviceTopic: string; readonly probeTopic: string } {
  return { deviceTopic: `${prefix}.devices`, probeTopic: `${prefix}.probe` }
}

export function brokerSettingsOf(answers: KafkaAnswers): BrokerSettings {
  return {
    brokers: answers.brokers,
    security: answers.security,
    ...(answers.security === 'SASL_SSL'
      ? { mechanism: answers.mechanism, username: answers.username, password: answers.password }
      : {}),
    ...(answers.security !== 'PLAINTEXT' && answers.ca !== undefined ? { ca: answers.ca } : {})
  }
}
