/** The product's table of contents: eleven steps, in the guide's order and with the guide's names (figure 3). */
import { accountStep } from '../steps/account/step.ts'
import { completeStep } from '../steps/complete/step.ts'
import { cpStep } from '../steps/cp/step.ts'
import { daeStep } from '../steps/dae/step.ts'
import { databaseStep } from '../steps/database/step.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { kafkaStep } from '../steps/kafka/step.ts'
import { kmsStep } from '../steps/kms/step.ts'
import { licenseStep } from '../steps/license/step.ts'
import { memcachedStep } from '../steps/memcached/step.ts'
import { mqsStep } from '../steps/mqs/step.ts'
import { welcomeStep } from '../steps/welcome/step.ts'

export const steps: readonly DefinedStep[] = [
  welcomeStep,
  databaseStep,
  kmsStep,
  memcachedStep,
  accountStep,
  licenseStep,
  kafkaStep,
  daeStep,
  mqsStep,
  cpStep,
  completeStep
]
