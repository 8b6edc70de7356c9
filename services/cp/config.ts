/** What the CP is told by the wizard. */
import { z } from 'zod'
import { base, peer } from '../config.ts'

export const cpConfig = z.strictObject({
  ...base,
  kms: peer,
  dae: peer,
  mqs: peer,
  sessionDays: z.int().min(1).max(30).default(1)
})

export type CpConfig = z.infer<typeof cpConfig>
