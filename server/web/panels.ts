/** The parts of three pages that are looked up live: this server (Welcome), the partitions (KMS), the result (Complete). */
import type { Install } from '../install/install.ts'
import { lookAtPartitions, prerequisites } from '../steps/kms/partitions.ts'
import type { StepId } from '../steps/step.ts'
import type { CompleteModel, KmsPanel, SetupPage, WelcomePanel } from './view-model.ts'

type Panels = Pick<SetupPage, 'welcome' | 'kms' | 'complete' | 'kafkaIsMock'>

export async function panelsFor(
  install: Install,
  step: StepId,
  values: Readonly<Record<string, string>>,
  rescan: boolean
): Promise<Panels> {
  if (step === 'welcome') return { welcome: await welcomePanel(install) }
  if (step === 'kms') return { kms: await kmsPanel(install, values, rescan) }
  if (step === 'complete') return { complete: await completeModel(install) }
  return {}
}

async function welcomePanel(_install: Install): Promise<WelcomePanel> {
  return { host: [] }
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

export async function completeModel(_install: Install): Promise<CompleteModel> {
  throw new Error('to be filled in when the services are there')
}
