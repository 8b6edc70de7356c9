/** The beginning of `keyscaler apply`: the wizard that does it, and what must be agreed on before anything is made. */
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { openLog } from '../../lib/log/log.ts'
import { lateLog } from '../../lib/service/late-log.ts'
import { runningServices } from '../deploy/deployed-addresses.ts'
import { hasInstall } from '../install/boot-file.ts'
import { serve, type Wizard } from '../main.ts'
import type { ApplyResult } from '../steps/step.ts'
import { isWanted } from './ask-before.ts'
import type { Chosen } from './chosen-steps.ts'
import { type Agreed, planText, refuseMoved } from './plan.ts'
import type { JobTeller } from './tell-job.ts'

/** A person has stopped it; the message says all. */
export class Interrupted extends Error {}

export const nothingApplied = 'Nothing was applied.'

export interface AskFlags {
  readonly yes: boolean
  readonly input: boolean
}

interface Beginning {
  readonly stateDir: string
  readonly port: number
  readonly flags: AskFlags
  readonly agreed: Agreed | null
  readonly planned: () => Promise<Chosen>
  readonly teller: JobTeller
}

export interface Started {
  readonly wizard: Wizard
  /** There was no install before. */
  readonly isNew: boolean
  /** Names of the services that ran before. */
  readonly ranBefore: readonly string[]
}

/** @throws Interrupted, AppError conflict where it is refused on an empty host: not even the state folder is made then */
export async function startWizard({ stateDir, port, flags, agreed, planned, teller }: Beginning): Promise<Started> {
  const isNew = !(await hasInstall(stateDir))
  if (isNew) {
    const chosen = await planned()
    if (agreed !== null) refuseMoved(agreed, chosen)
    else if (!(await isAgreed(chosen, flags))) throw new Interrupted(nothingApplied)
  }
  const ranBefore = isNew ? [] : await runningServices(stateDir)
  const wizard = await serve({
    stateDir,
    host: '127.0.0.1',
    port,
    allowedHosts: [],
    suggestions: {},
    setup: false,
    showOnce: (step, values) => keepShownOnce(stateDir, step, values, teller.say),
    log: lateLog(() => openLog('wizard', 'warn', teller.say)),
    say: teller.say
  })
  return { wizard, isNew, ranBefore }
}

/** Asked unless that was answered by a flag: --yes, --no-input, or an agreed plan. */
export async function isAgreed({ plan }: Chosen, { yes, input }: AskFlags): Promise<boolean> {
  return yes || !input || !plan.changed || isWanted(planText(plan))
}

/** What the form would show once (the participant's secret): into a file that only we may read, never onto the console. */
export async function keepShownOnce(
  stateDir: string,
  step: string,
  values: NonNullable<ApplyResult['showOnce']>,
  tell: (line: string) => void
): Promise<void> {
  const path = join(stateDir, 'shown-once', `${step}.txt`)
  await writePrivateFile(path, values.map(({ label, value }) => `${label}: ${value}\n`).join(''))
  tell(`  shown once: ${path} (take it away from there)`)
}
