/** The parts of pages that are looked up live: this server (Welcome), the partitions (KMS), the broker (Kafka), the result. */

import type { Install } from '../install/install.ts'
import { currentStep } from '../install/progress.ts'
import { installResult } from '../steps/complete/result.ts'
import { isMockAt } from '../steps/kafka/mock-cluster.ts'
import { lookAtPartitions, prerequisites } from '../steps/kms/partitions.ts'
import type { StepId } from '../steps/step.ts'
import { hostTable } from '../steps/welcome/host-table.ts'
import type { CompleteModel, KmsPanel, SetupPage, WelcomePanel } from './view-model.ts'

type Panels = Pick<SetupPage, 'welcome' | 'kms' | 'complete' | 'kafkaIsMock'>

export async function panelsFor(
  install: Install,
  step: StepId,
  values: Readonly<Record<string, string>>,
  rescan: boolean
): Promise<Panels> {
  switch (step) {
    case 'welcome':
      return { welcome: await welcomePanel(install) }
    case 'kms':
      return { kms: await kmsPanel(install, values, rescan) }
    case 'kafka':
      return { kafkaIsMock: await isMockAt(values.brokers ?? '') }
    case 'complete':
      return { complete: await completeModel(install) }
    default:
      return {}
  }
}

async function welcomePanel(install: Install): Promise<WelcomePanel> {
  const [host, progress] = await Promise.all([hostTable(install.stateDir), install.progress()])
  const { id, title, number } = currentStep(progress)
  return { host, ...(id === 'welcome' ? {} : { resume: { href: `/setup/steps/${id}`, title, number } }) }
}

async function kmsPanel(
  install: Install,
  values: Readonly<Record<string, string>>,
  rescan: boolean
): Promise<KmsPanel> {
  const { library = '', confPath = '', partition = '' } = values
  const seen = await lookAtPartitions(install.stateDir, { library, confPath, partition }, rescan)
  const { client: _client, ...shown } = seen
  return { ...shown, beforeYouBegin: prerequisites(seen) }
}

export async function completeModel(install: Install): Promise<CompleteModel> {
  return installResult(install.stateDir, install.database(), await install.target.status())
}
