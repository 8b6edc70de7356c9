/** What the MQS is told by the wizard. */
import { z } from 'zod'
import { base, path } from '../config.ts'

export const mqsConfig = z.strictObject({
  ...base,
  kafka: z.strictObject({
    brokers: z.array(z.string()).min(1),
    security: z.enum(['PLAINTEXT', 'SSL', 'SASL_SSL']),
    mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
    username: z.string().optional(),
    passwordFile: path.optional(),
    ca: path.optional()
  }),
  deviceTopic: z.string(),
  /** Probe events of the deployment check travel on this topic. */
  probeTopic: z.string()
})

export type MqsConfig = z.infer<typeof mqsConfig>
