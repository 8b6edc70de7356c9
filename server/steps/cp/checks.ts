import type { Check } from '../../checks/check.ts'
import { hostChecks } from '../host-checks.ts'
import type { CpAnswers } from './answers.ts'

export const cpChecks: readonly Check<CpAnswers>[] = hostChecks<CpAnswers>({
  service: 'cp',
  field: 'cpHost',
  addressOf: (answers) => answers.cpHost
})
