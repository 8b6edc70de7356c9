import type { Check } from '../../checks/check.ts'
import { hostChecks } from '../host-checks.ts'
import type { MqsAnswers } from './answers.ts'

export const mqsChecks: readonly Check<MqsAnswers>[] = hostChecks<MqsAnswers>({
  service: 'mqs',
  field: 'mqsHost',
  addressOf: (answers) => answers.mqsHost
})
