/** The parts of three pages that are looked up live: this server (Welcome), the partitions (KMS), the result (Complete). */
import type { Install } from '../install/install.ts'
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
  _install: Install,
  _values: Readonly<Record<string, string>>,
  _rescan: boolean
): Promise<KmsPanel> {
  return { beforeYouBegin: [], partitions: [] }
}

export async function completeModel(_install: Install): Promise<CompleteModel> {
  throw new Error('to be filled in when the services are there')
}
