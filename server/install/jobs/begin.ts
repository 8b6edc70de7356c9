/** What somebody may ask an install for, each as a job: Next, Test, an apply of several steps, and the rest of one of them. */
import { AppError, messageOf } from '../../../lib/errors/app-error.ts'
import type { StepId } from '../../steps/step.ts'
import { type AppliedFile, applyAnswers } from '../apply-answers.ts'
import type { CheckOutcome, Install } from '../install.ts'
import { currentStep } from '../progress.ts'
import { continueByScript, isClean, refusalOf } from '../refusal.ts'
import type { SkipRequest } from '../skips.ts'
import { type Outcome, type SubmitOptions, stepOf, type Watcher } from '../submit.ts'
import { type ApplyRest, isWorking, type JobDocument } from './job.ts'
import type { Ending } from './job-ending.ts'
import type { JobWatch } from './job-watch.ts'
import type { StartedJob } from './jobs.ts'
import { type ApplyOrder, keptOf, leftWords, stoppedIn } from './rest.ts'

type Raw = Readonly<Record<string, unknown>>

export interface Asker {
  /** "browser", "script", "answers file" or "keyscaler". */
  readonly actor: string
  /** Keeps what is shown once; absent: the install keeps it for the first who takes it. */
  readonly showOnce?: Watcher['showOnce']
  /** Setup was finished by it: done before its end is told. */
  readonly finished?: () => Promise<void>
}

export function beginSubmit(
  install: Install,
  step: StepId,
  raw: Raw,
  options: Omit<SubmitOptions, 'watch' | 'actor'>,
  asker: Asker
): StartedJob<Outcome> {
  const order = { kind: 'submit', step, title: `Next of ${stepOf(install, step).title}`, actor: asker.actor } as const
  return install.jobs.start(
    order,
    async (watch) => {
      const outcome = await install.submit(step, raw, { ...options, actor: asker.actor, watch: watchFor(watch, asker) })
      if (outcome.ok) await settle(install, asker)
      return outcome
    },
    (outcome): Ending => {
      if (outcome.ok) return { next: outcome.next, finished: install.finishedAt() !== null }
      return { error: outcome.error ?? refusalOf(outcome, continueByScript), resumable: outcome.saved === true }
    }
  )
}

export function beginCheck(
  install: Install,
  step: StepId,
  raw: Raw,
  skip: readonly SkipRequest[],
  { actor }: Asker
): StartedJob<CheckOutcome> {
  return install.jobs.start(
    { kind: 'check', step, title: `Test of ${stepOf(install, step).title}`, actor },
    async (watch) => {
      const outcome = await install.check(step, raw, watch, skip)
      watch.signal.throwIfAborted()
      return outcome
    },
    (outcome) => (isClean(outcome) ? {} : { error: refusalOf(outcome, continueByScript) })
  )
}

const nothingLeft: ApplyRest = { steps: [], continueAnyway: false, skip: [] }

export interface AppliedSteps {
  /** Steps that were done. */
  readonly done: readonly StepId[]
  /** What stopped it; the steps before it stand. */
  readonly error?: AppError
  readonly stoppedAt: StepId | null
  /** Where setup goes on; null when it stopped. */
  readonly next: StepId | null
  /** What can be gone on with. */
  readonly rest: ApplyRest
}

export function beginApply(
  install: Install,
  file: Omit<AppliedFile, 'actor'>,
  steps: readonly StepId[],
  asker: Asker
): StartedJob<AppliedSteps> {
  const { actor } = asker
  const order = { file: { ...file, actor }, steps }
  return install.jobs.start(
    { kind: 'apply', step: null, title: 'An apply of several steps', actor, steps },
    (watch) => inSteps(install, asker, watch, order, (each) => applyAnswers(install, order.file, steps, each)),
    endingOf(install)
  )
}

/**
 * Finishes what a kill or a cancel left, from where it stopped and with the answers that are kept: the step that was cut off
 * without its checks, those after it as an apply does.
 * @param step where it begins
 * @param before the job that left it
 */
export function beginResume(
  install: Install,
  step: StepId,
  before: JobDocument | null,
  asker: Asker
): StartedJob<AppliedSteps> {
  const others = (before?.steps ?? []).filter(({ id, state }) => state !== 'done' && id !== step).map(({ id }) => id)
  const { title } = stepOf(install, step)
  const { actor } = asker
  const { continueAnyway = false, skip = [] } = before?.rest ?? {}
  const order = { file: { steps: {}, continueAnyway, skip, actor }, steps: [step, ...others] }
  return install.jobs.start(
    {
      kind: 'resume',
      step,
      title: `The rest of ${title}`,
      actor,
      steps: order.steps,
      resumes: before?.id ?? null
    },
    (watch) =>
      inSteps(install, asker, watch, order, async (each) => {
        const wanted = await keptOf(install, before?.rest?.steps ?? order.steps, step)
        const isCutOff = (await install.pending())?.step === step
        if (isCutOff) {
          each.step?.(step, 'begun')
          await install.finishPending(step, each)
          each.step?.(step, 'done')
        }
        await applyAnswers(install, order.file, isCutOff ? wanted.filter((id) => id !== step) : wanted, each)
        const words = leftWords(
          install,
          order.steps.filter((id) => !wanted.includes(id))
        )
        if (words !== null) each.finding?.({ id: `${step}.apply`, title, verdict: 'info', say: words, ms: 0 })
      }),
    endingOf(install)
  )
}

/** @throws AppError not-found, conflict when nothing of it can go on */
export async function retryJob(install: Install, id: string, asker: Asker): Promise<StartedJob<AppliedSteps>> {
  const job = (await install.jobs.find(id))?.document()
  if (job === undefined) throw new AppError('not-found', 'There is no such job, or not any more.')
  const step = job.retryable ? (job.rest?.steps[0] ?? (await install.pending())?.step) : undefined
  if (step === undefined) {
    const cure = job.rest === null ? undefined : job.problem?.cure
    throw new AppError('conflict', 'Nothing of this job can be taken up again.', {
      cure: cure ?? 'Answers that were refused are not kept: open the step and send them again.'
    })
  }
  return beginResume(install, step, job, asker)
}

/** What the start takes up by itself: the newest job, where its process ended before it did. */
export async function interruptedJob(install: Install): Promise<JobDocument | null> {
  const newest = (await install.jobs.list()).find(isWorking)
  return newest?.state === 'interrupted' ? newest : null
}

/** What was done of it is kept in what it answers, also when it stops half-way. */
async function inSteps(
  install: Install,
  asker: Asker,
  watch: JobWatch,
  order: ApplyOrder,
  work: (watch: Watcher) => Promise<void>
): Promise<AppliedSteps> {
  const done: StepId[] = []
  let current: StepId | null = null
  const step: JobWatch['step'] = (id, state) => {
    current = id
    if (state === 'done') done.push(id)
    watch.step(id, state)
  }
  try {
    await work({ ...watchFor(watch, asker), step })
    await settle(install, asker)
    return { done, stoppedAt: null, next: currentStep(await install.progress()).id, rest: nothingLeft }
  } catch (thrown) {
    const why =
      thrown instanceof AppError ? thrown : new AppError('deploy-failed', messageOf(thrown), { cause: thrown })
    const { error, rest } = await stoppedIn(install, order, done, current, why)
    return { done, error, stoppedAt: current, next: null, rest }
  }
}

function endingOf(install: Install): (applied: AppliedSteps) => Ending {
  return ({ error, next, rest }) => ({
    ...{ error, next, finished: install.finishedAt() !== null },
    ...(error === undefined ? {} : { rest, resumable: rest.steps.length > 0 })
  })
}

async function settle(install: Install, { finished }: Asker): Promise<void> {
  if (install.finishedAt() !== null) await finished?.()
}

function watchFor(watch: JobWatch, { showOnce }: Asker): Watcher {
  return showOnce === undefined ? watch : { ...watch, showOnce }
}
