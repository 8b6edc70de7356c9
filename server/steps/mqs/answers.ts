/** The answers of step 9. */
import { z } from 'zod'
import { bothOrNeither, certificateFields, hostAddress } from '../host-fields.ts'

export const mqsAnswers = z
  .strictObject({ mqsHost: hostAddress('Mqs Hostname'), ...certificateFields })
  .check(bothOrNeither)

export type MqsAnswers = z.infer<typeof mqsAnswers>
