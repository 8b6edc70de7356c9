/** The unattended door: the steps that the plan names, in order, through the same submitStep as the form's. */
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import { type AnswersFile, skipsOf } from './answers-file.ts'
import type { Install } from './install.ts'
import type { Plan } from './plan.ts'
import { keepRecord } from './record-file.ts'
import { refuseSkips } from './skips.ts'
import type { Watcher } from './submit.ts'

export interface ApplyEvents {
  readonly begin: (step: StepId, title: string) => void
  readonly done: (step: StepId, ms: number) => void
  /** Keeps what a form would show once after this step; called before the step counts as done. */
  readonly showOnce: (step: StepId, values: NonNullable<ApplyResult['showOnce']>) => Promise<void>
  readonly watch: Watcher
}

/** @throws AppError check-failed, invalid-input or what an apply threw; the message names the step and the cure */
export async function applyAnswers(
  install: Install,
  file: AnswersFile,
  plan: Pick<Plan, 'steps'>,
  events: ApplyEvents
): Promise<void> {
  // Before anything is done: a run must not stop half-way at what could be seen at once.
  refuseSkips(file.skip ?? [])
  if (install.finishedAt() !== null) await install.reopen()
  for (const step of install.steps.filter(({ id }) => plan.steps.includes(id))) {
    const started = performance.now()
    events.begin(step.id, step.title)
    const kept = (await install.answers()).get(step.id)?.values
    const outcome = await install.submit(step.id, file.steps[step.id] ?? kept ?? {}, {
      continueAnyway: file.continueAnyway,
      skip: skipsOf(file, step.id),
      actor: 'answers file',
      watch: { ...events.watch, showOnce: events.showOnce }
    })
    if (!outcome.ok) throw refusal(step.title, outcome)
    events.done(step.id, Math.round(performance.now() - started))
  }
  // The install stands without it: the next start, or keyscaler record sign, makes it.
  await keepRecord(install).catch((thrown) => {
    events.watch.phase?.(`The install record could not be signed: ${messageOf(thrown)}`)
  })
}

function refusal(title: string, outcome: Extract<Awaited<ReturnType<Install['submit']>>, { ok: false }>): AppError {
  if (outcome.error !== undefined) return outcome.error
  const fields = Object.entries(outcome.fields)
  const bad = outcome.findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn')
  const lines = bad.length > 0 ? bad.map(({ say }) => say) : fields.map(([name, text]) => `${name}: ${text}`)
  const cure = bad.find((finding) => finding.cure !== undefined)?.cure
  const onlyWarnings = bad.length > 0 && bad.every(({ verdict }) => verdict === 'warn')
  return new AppError(bad.length > 0 ? 'check-failed' : 'invalid-input', `${title}: ${lines.join(' ')}`, {
    fields: outcome.fields,
    ...(onlyWarnings
      ? { cure: `${cure ?? ''} To go on all the same, set continueAnyway: true in the answers file.`.trim() }
      : cure === undefined
        ? {}
        : { cure })
  })
}
