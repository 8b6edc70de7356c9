/** The answers of step 10. */
import { z } from 'zod'
import { bothOrNeither, certificateFields, hostAddress } from '../host-fields.ts'

export const cpAnswers = z
  .strictObject({ cpHost: hostAddress('Cp Hostname'), ...certificateFields })
  .check(bothOrNeither)

export type CpAnswers = z.infer<typeof cpAnswers>
