/** Fills the model of a step's page from what is kept, what was typed and what the checks found. */
import type { Finding } from '../checks/check.ts'
import type { StoredAnswers } from '../install/boot-file.ts'
import type { Install } from '../install/install.ts'
import type { JobDocument } from '../install/jobs/job.ts'
import type { StepProgress } from '../install/progress.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { ApplyResult, FieldView, StepId } from '../steps/step.ts'
import { sectionsOf } from './field-sections.ts'
import { jobModel, underWay } from './job-model.ts'
import { type Asked, panelsFor } from './panels.ts'
import { onSameHost } from './prefill.ts'
import { product } from './product.ts'
import type { FieldModel, SetupPage, StepLink } from './view-model.ts'

export interface PageState extends Asked {
  /** What was typed, when the page comes back; absent on a plain visit. */
  readonly typed?: Readonly<Record<string, unknown>>
  readonly fields?: Readonly<Record<string, string>>
  readonly findings?: readonly Finding[]
  readonly notice?: string
  readonly continueAnyway?: boolean
  readonly showOnce?: ApplyResult['showOnce']
  /** The one that this page is the answer to, where there is more to say than its findings. */
  readonly job?: JobDocument
}

export async function stepPage(
  install: Install,
  step: DefinedStep,
  suggestions: Readonly<Record<string, unknown>>,
  csrf: string,
  state: PageState
): Promise<SetupPage> {
  const answers = await install.answers()
  const progress = await install.progress()
  const stored = answers.get(step.id)
  const values = valuesFor(step, stored, answers, suggestions, state.typed)
  const errors = state.fields ?? {}
  const findings = state.findings ?? []
  const index = install.steps.indexOf(step)
  const pending = progress[index]?.pending === true
  const running = install.jobs.running()
  return {
    product,
    steps: stepLinks(progress, step.id, running?.step),
    step: stepHead(install, step),
    sections: sectionsOf(
      Object.entries(step.fields).map(([name, view]) =>
        fieldModel(name, view, values[name], step.keepsSecretsAsTyped ? stored : undefined, errors[name])
      )
    ),
    errors: summary(errors, findings, step),
    findings,
    canContinueAnyway: offersToContinue(findings, errors),
    ...(state.continueAnyway === undefined ? {} : { continueAnyway: state.continueAnyway }),
    plan: step.planFor(values),
    notes: [],
    ...noticeOf(state, pending && running?.step !== step.id),
    showOnce: state.showOnce ?? [],
    ...(running === null ? {} : { underWay: underWay(running) }),
    ...(state.job === undefined ? {} : { job: jobModel(state.job, install, csrf) }),
    csrf,
    revision: stored?.revision ?? 0,
    ...(await panelsFor(install, step.id, values, state))
  }
}

/** A job that failed says itself what is to be done; one that was cancelled is no problem, and has nothing in the summary. */
function noticeOf({ notice, job }: PageState, pending: boolean): { notice?: string } {
  if (notice !== undefined) return { notice }
  if (job?.state === 'cancelled') return { notice: [job.problem?.detail, job.problem?.cure].filter(Boolean).join(' ') }
  if (job !== undefined || !pending) return {}
  return { notice: 'This step was interrupted. Its answers are kept: press Next to finish it.' }
}

/** @param shown the step of the page @param underWay the one at which a job works */
export function stepLinks(
  progress: readonly StepProgress[],
  shown: StepId | null,
  underWay?: StepId | null
): readonly StepLink[] {
  return progress.map((row) => ({ ...link(row, shown), ...(row.id === underWay ? { underWay: true } : {}) }))
}

export function stepHead(install: Install, step: DefinedStep): SetupPage['step'] {
  const index = install.steps.indexOf(step)
  const previous = install.steps[index - 1]
  const { id, title, heading, intro } = step
  const back = previous === undefined ? {} : { back: `/setup/steps/${previous.id}` }
  return { id, number: index + 1, title, heading, intro, ...back }
}

function link(row: StepProgress, shown: StepId | null): StepLink {
  const { id, number, title, state } = row
  if (id === shown) return { id, number, title, state: 'current' }
  const reachable = state === 'done' || state === 'current'
  const seen = state === 'current' ? (row.pending ? 'attention' : 'later') : state
  return { id, number, title, state: seen, ...(reachable ? { href: `/setup/steps/${id}` } : {}) }
}

/** Typed before kept before prefilled before suggested before the view's own first value. Never a secret. */
function valuesFor(
  step: DefinedStep,
  stored: StoredAnswers | undefined,
  answers: ReadonlyMap<string, StoredAnswers>,
  suggestions: Readonly<Record<string, unknown>>,
  typed: Readonly<Record<string, unknown>> | undefined
): Record<string, string> {
  const shown = Object.entries(step.fields).filter(([, view]) => !view.secret)
  return Object.fromEntries(
    shown.map(([name, view]) => {
      if (typed !== undefined) return [name, asText(typed[name])]
      const [of, field] = view.prefillFrom?.split('.') ?? []
      const earlier = of === undefined || field === undefined ? undefined : answers.get(of)?.values[field]
      const carried = onSameHost(earlier)
      // Whoever suggests knows of ports; without one, the service's own stands for it.
      const first = carried === earlier ? (carried ?? suggestions[name]) : (suggestions[name] ?? carried)
      return [name, asText(stored?.values[name] ?? first ?? view.initial)]
    })
  )
}

/** What a field can hold; a script may have sent anything, nested as deep as it likes. */
function asText(value: unknown): string {
  if (value === true) return 'on'
  if (Array.isArray(value)) return value.filter((one) => typeof one === 'string').join('\n')
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

function fieldModel(
  name: string,
  view: FieldView,
  value: string | undefined,
  stored: StoredAnswers | undefined,
  error: string | undefined
): FieldModel {
  const { initial: _initial, prefillFrom: _prefillFrom, ...shown } = view
  return {
    ...shown,
    name,
    value: view.secret ? '' : (value ?? ''),
    ...(view.secret && stored?.secrets[name] !== undefined ? { saved: true } : {}),
    ...(error === undefined ? {} : { error })
  }
}

/** Field messages first, in the page's order; then failed checks that belong to no field. */
function summary(fields: Readonly<Record<string, string>>, findings: readonly Finding[], step: DefinedStep) {
  const order = Object.keys(step.fields)
  const ofFields = Object.entries(fields)
    .sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([field, text]) => (order.includes(field) ? { field, text } : { text }))
  const rest = findings
    .filter(({ verdict, field }) => verdict === 'fail' && (field === undefined || fields[field] === undefined))
    .map(({ say }) => ({ text: say }))
  return [...ofFields, ...rest]
}

function offersToContinue(findings: readonly Finding[], fields: Readonly<Record<string, string>>): boolean {
  const failed = findings.some(({ verdict }) => verdict === 'fail') || Object.keys(fields).length > 0
  return !failed && findings.some(({ verdict }) => verdict === 'warn')
}
