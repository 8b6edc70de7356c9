/** The parts of pages that are looked up live: this server (Welcome), the partitions (KMS), the broker (Kafka), the result. */

import { testedAndYours } from '../../lib/luna-client/tested-matrix.ts'
import { systemName } from '../checks/host.ts'
import { lastEvidence } from '../checks/key-store/evidence.ts'
import type { Install } from '../install/install.ts'
import { currentStep } from '../install/progress.ts'
import { installResult } from '../steps/complete/result.ts'
import { isMockAt } from '../steps/kafka/mock-cluster.ts'
import { lookAtPartitions, type PartitionsSeen } from '../steps/kms/partitions.ts'
import type { Pasted } from '../steps/kms/pasted.ts'
import { prerequisites } from '../steps/kms/prerequisites.ts'
import type { StepId } from '../steps/step.ts'
import { hostTable } from '../steps/welcome/host-table.ts'
import { evidenceModel } from './evidence-model.ts'
import type { ClientChoice, CompleteModel, KmsPanel, SetupPage, WelcomePanel } from './view-model.ts'

type Panels = Pick<SetupPage, 'welcome' | 'kms' | 'complete' | 'kafkaIsMock'>

/** What was asked of the page besides its answers. */
export interface Asked {
  /** Look again for partitions instead of answering from the last look. */
  readonly rescan?: boolean
  readonly pasted?: Pasted
}

export async function panelsFor(
  install: Install,
  step: StepId,
  values: Readonly<Record<string, string>>,
  asked: Asked
): Promise<Panels> {
  switch (step) {
    case 'welcome':
      return { welcome: await welcomePanel(install) }
    case 'kms':
      return { kms: await kmsPanel(install, values, asked) }
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
  { rescan = false, pasted }: Asked
): Promise<KmsPanel> {
  const { library = '', confPath = '', partition = '' } = values
  const [seen, system, evidence] = await Promise.all([
    lookAtPartitions(install.stateDir, { library, confPath, partition }, rescan),
    systemName(),
    lastEvidence(install.stateDir)
  ])
  const { partitions, partitionsProblem, failedLogins, remarks } = seen
  return {
    beforeYouBegin: prerequisites(seen),
    tested: testedWith(seen, partition, system),
    remarks,
    clients: clientChoices(seen),
    partitions,
    ...(partitionsProblem === undefined ? {} : { partitionsProblem }),
    ...(failedLogins === undefined ? {} : { failedLogins }),
    ...(pasted === undefined ? {} : { pasted }),
    ...(evidence === null ? {} : { evidence: evidenceModel(evidence) })
  }
}

/** Table 1 of the guide. */
function testedWith({ library, partitions }: PartitionsSeen, chosen: string, system: string) {
  const token = partitions.find(({ label }) => label === chosen) ?? partitions[0]
  const client = library === null ? null : `${library.description} ${library.version}`
  return testedAndYours({ system, client, model: token?.model ?? null, firmware: token?.firmware ?? null })
}

const clientTitles = {
  luna: 'Luna client',
  dpod: 'Data Protection on Demand client',
  configured: 'HSM client'
} as const

function clientChoices({ clients, client }: PartitionsSeen): ClientChoice[] {
  return clients.map(({ kind, module, confPath }) => {
    return { title: clientTitles[kind], module, confPath: confPath ?? '', inUse: module === client?.module }
  })
}

export async function completeModel(install: Install): Promise<CompleteModel> {
  const result = await installResult(install.stateDir, install.database(), await install.target.status())
  const open = install.finishedAt() === null
  return {
    ...result,
    keepsakes: open ? { answers: '/setup/answers.yaml' } : { answers: '/answers.yaml', record: '/record' }
  }
}
