/** The unattended door: the steps that the plan names, in order, through the same submitStep as the form's. */
import { messageOf } from '../../lib/errors/app-error.ts'
import type { ServiceName } from '../../services/catalog.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import { type AnswersFile, skipsOf } from './answers-file.ts'
import type { Install } from './install.ts'
import { keepRecord, loadRecord } from './record-file.ts'
import { continueByFile, refusalOf } from './refusal.ts'
import { refuseSkips } from './skips.ts'
import type { Watcher } from './submit.ts'

export interface AppliedFile extends Pick<AnswersFile, 'steps' | 'continueAnyway' | 'skip'> {
  /** "answers file" or "script". */
  readonly actor: string
}

/**
 * @param chosen the steps to submit; between two of them it can be stopped
 * @throws AppError check-failed, invalid-input or what an apply threw; the message names the step and the cure
 */
export async function applyAnswers(
  install: Install,
  file: AppliedFile,
  chosen: readonly StepId[],
  watch: Watcher
): Promise<void> {
  // Before anything is done: a run must not stop half-way at what could be seen at once.
  refuseSkips(file.skip ?? [])
  if (chosen.length === 0) return
  if (install.finishedAt() !== null) await install.reopen()
  const inOrder = install.steps.filter(({ id }) => chosen.includes(id))
  for (const [index, step] of inOrder.entries()) {
    watch.signal?.throwIfAborted()
    watch.step?.(step.id, 'begun')
    for (const service of startedNext(inOrder.slice(index), index === 0)) install.target.prepare(service)
    // This step will wait for a service, and the processor with it.
    if (step.starts !== null) void loadAhead(inOrder.slice(index + 1))
    const kept = (await install.answers()).get(step.id)?.values
    const outcome = await install.submit(step.id, file.steps[step.id] ?? kept ?? {}, {
      continueAnyway: file.continueAnyway,
      skip: skipsOf(file, step.id),
      actor: file.actor,
      watch
    })
    if (!outcome.ok) throw outcome.error ?? refusalOf(outcome, continueByFile, step.title)
    watch.step?.(step.id, 'done')
  }
  // The install stands without it: the next start, or keyscaler record sign, makes it.
  await keepRecord(install).catch((thrown) => {
    watch.phase?.(`The install record could not be signed: ${messageOf(thrown)}`)
  })
}

/** More at once would take the processors from the step that is under way. */
const preparedAtOnce = 3

/** The one that is needed first has the whole time; others load when a step waits for its own service, for then there is a processor for them. */
function startedNext(steps: readonly DefinedStep[], isFirst: boolean): readonly ServiceName[] {
  const waits = steps[0]?.starts != null
  const services = steps.flatMap(({ starts }) => starts ?? [])
  return services.slice(0, waits ? preparedAtOnce : Number(isFirst))
}

/** One after the other, so that what is under way gets its turn between them. What cannot be loaded says so when it is run. */
async function loadAhead(steps: readonly DefinedStep[]): Promise<void> {
  for (const step of steps) await step.loadAhead().catch(() => {})
  await loadRecord().catch(() => {})
}
