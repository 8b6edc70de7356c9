/** What the DAE is told by the wizard. */
import { z } from 'zod'
import { base, peer } from '../config.ts'

export const daeConfig = z.strictObject({
  ...base,
  kms: peer,
  tenant: z.string(),
  memcached: z.strictObject({ servers: z.array(z.string()), prefix: z.string() }),
  /** Topic that the device events of this install are for; MQS sends them. */
  deviceTopic: z.string(),
  estLabel: z.string().default('')
})

export type DaeConfig = z.infer<typeof daeConfig>
