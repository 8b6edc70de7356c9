/**
 * The one way in. A browser form, a scripted POST and an answers file all end here: parse, check live, save as an
 * immutable revision, apply what was checked, mark it done. One at a time an install.
 */
import { isDeepStrictEqual } from 'node:util'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { Finding } from '../checks/check.ts'
import type { DefinedStep, Submission } from '../steps/define-step.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import type { StoredAnswers } from './boot-file.ts'
import { isCancelled } from './jobs/cancelled.ts'
import type { JobWatch } from './jobs/job-watch.ts'
import { type KeptFinding, toldAt } from './kept-finding.ts'
import { isOpen, progressOf } from './progress.ts'
import { keptOrLost } from './secrets.ts'
import { type SkipRequest, skipsFor } from './skips.ts'

export interface Watcher extends Partial<JobWatch> {
  /** Keeps what is shown once, before the step counts as done: killed in between, the step is done again and shows anew. */
  readonly showOnce?: (step: StepId, values: NonNullable<ApplyResult['showOnce']>) => Promise<void>
}

export interface SubmitOptions {
  /** The revision that the page showed; another one now is a conflict. Absent for scripts. */
  readonly revision?: number
  /** Warnings are accepted (and recorded with the findings). */
  readonly continueAnyway: boolean
  /** Checks of this step that are left out, each with its reason; what is strict is refused. */
  readonly skip?: readonly SkipRequest[]
  /** "browser", "script" or "answers file". */
  readonly actor: string
  readonly watch?: Watcher
}

export type Outcome =
  | { readonly ok: true; readonly next: StepId; readonly findings: readonly Finding[]; readonly result: ApplyResult }
  | {
      readonly ok: false
      readonly fields: Readonly<Record<string, string>>
      readonly findings: readonly Finding[]
      /** What went wrong while applying, when that is what went wrong. */
      readonly error?: AppError
      /** The answers are kept, and not applied to the end. */
      readonly saved?: boolean
    }

/** What submit needs of the install; install.ts gives it. */
export interface SubmitGround {
  readonly steps: readonly DefinedStep[]
  readonly answers: () => Promise<ReadonlyMap<StepId, StoredAnswers>>
  readonly finished: () => boolean
  /** A kept secret, opened. */
  readonly openSecret: (step: StepId, field: string, stored: StoredAnswers) => Promise<string>
  readonly surroundings: (step: StepId) => Promise<Parameters<Submission['check']>[0]>
  readonly save: (
    step: StepId,
    expected: number,
    submission: Submission,
    findings: readonly KeptFinding[],
    actor: string
  ) => Promise<number>
  /** Something that these answers make is not there by the ledger. */
  readonly lacks: (step: StepId, submission: Submission) => Promise<boolean>
  /** What the step starts may get ready: never waited for, never fails. */
  readonly prepare: (step: StepId) => void
  /** Applies and marks the revision done. */
  readonly apply: (
    step: StepId,
    revision: number,
    submission: Submission,
    watch: Watcher,
    appliedAt?: string
  ) => Promise<ApplyResult>
}

/** Parses with kept secrets filled in for empty fields; a secret bound to a changed answer must be typed again. */
export async function readAnswers(
  ground: Pick<SubmitGround, 'openSecret'>,
  step: DefinedStep,
  raw: Readonly<Record<string, unknown>>,
  stored: StoredAnswers | undefined
) {
  if (stored === undefined) return step.parse(raw)
  if (!step.keepsSecretsAsTyped) {
    // What is kept of the secret cannot be typed for the caller; what was applied once stands without it.
    const stands = stored.appliedAt !== null && isAsStored(step, raw, stored)
    return stands ? ({ ok: true, submission: step.restore(stored.values, {}), asKept: true } as const) : step.parse(raw)
  }
  const filled: Record<string, unknown> = { ...raw }
  const lost: Record<string, string> = {}
  for (const field of Object.keys(stored.secrets)) {
    const view = step.fields[field]
    if (!isEmpty(raw[field]) || !view?.secret) continue
    const secret = await keptOrLost(ground.openSecret(step.id, field, stored))
    if (secret === null) lost[field] = `${view.label} is not kept any more: type it again.`
    else filled[field] = secret
  }
  if (Object.keys(lost).length > 0) return { ok: false, fields: lost } as const
  const parsed = step.parse(filled)
  if (!parsed.ok) {
    // A kept key without its certificate is refused: who empties the certificate gives up both.
    const bare = step.parse(raw)
    return bare.ok ? bare : parsed
  }
  const { values } = parsed.submission
  const same = step.secretsBoundTo.every((name) => isDeepStrictEqual(values[name], stored.values[name]))
  return same ? parsed : step.parse(raw)
}

/** The same values and no secret: what is kept stays, and nobody has to be asked to open it. */
export function isAsStored(
  step: DefinedStep,
  raw: Readonly<Record<string, unknown>>,
  { values }: StoredAnswers
): boolean {
  const names = Object.keys(raw)
  return !names.some((name) => step.fields[name]?.secret === true) && isDeepStrictEqual(raw, values)
}

export interface Admitted {
  readonly step: DefinedStep
  readonly answers: ReadonlyMap<StepId, StoredAnswers>
  readonly stored: StoredAnswers | undefined
  readonly skip: ReturnType<typeof skipsFor>
  readonly parsed: Awaited<ReturnType<typeof readAnswers>>
}

/** What can be refused without asking anybody. @throws AppError locked, out-of-order, conflict, invalid-input */
export async function admitStep(
  ground: SubmitGround,
  id: StepId,
  raw: Readonly<Record<string, unknown>>,
  options: Pick<SubmitOptions, 'revision' | 'skip'>
): Promise<Admitted> {
  if (ground.finished())
    throw new AppError('locked', 'Setup is finished.', { cure: 'Run keyscaler unlock on the host.' })
  const step = stepOf(ground, id)
  const skip = skipsFor(id, options.skip ?? [])
  const answers = await ground.answers()
  if (!isOpen(progressOf(ground.steps, answers), id)) {
    throw new AppError('out-of-order', `${step.title} comes later: the steps before it are not done.`, {
      cure: 'Go on with the first step that is not done.'
    })
  }
  const stored = answers.get(id)
  if (options.revision !== undefined && options.revision !== (stored?.revision ?? 0)) {
    throw new AppError(
      'conflict',
      'This step was answered since this page was opened: in another window, or by a second press.',
      {
        cure: 'Open it again and look at what stands there now.'
      }
    )
  }
  return { step, answers, stored, skip, parsed: await readAnswers(ground, step, raw, stored) }
}

export async function submitStep(
  ground: SubmitGround,
  id: StepId,
  raw: Readonly<Record<string, unknown>>,
  options: SubmitOptions
): Promise<Outcome> {
  const { step, answers, stored, skip, parsed } = await admitStep(ground, id, raw, options)
  if (!parsed.ok) return { ok: false, fields: parsed.fields, findings: [] }
  const { submission } = parsed
  const watch = options.watch ?? {}
  if (stored?.appliedAt == null) ground.prepare(id)
  const clock = toldAt(watch)
  const findings = await submission.check({ ...(await ground.surroundings(id)), skip }, clock.watch)
  const failed = findings.some((finding) => finding.verdict === 'fail')
  const warned = findings.some((finding) => finding.verdict === 'warn')
  if (failed || (warned && !options.continueAnyway)) return { ok: false, fields: fieldMessages(findings), findings }
  watch.signal?.throwIfAborted()

  const changed = await differenceOf(ground, step, submission, stored)
  // The last step has no answers: doing it again is what locks setup again after an unlock.
  const isLast = id === ground.steps.at(-1)?.id
  const isDone = progressOf(ground.steps, answers).some((row) => row.id === id && row.state === 'done')
  const sameValues = isDone && !isLast && changed.values.length === 0
  const stands = sameValues && !changed.secret
  if (stands && !(await ground.lacks(id, submission)))
    return { ok: true, next: nextOf(ground, id), findings, result: {} }
  // A new password for the same thing, or a part that was missing: what was built on it stands.
  const appliedAt = sameValues ? (stored?.appliedAt ?? undefined) : undefined
  let saved = false
  try {
    // Nothing to keep anew: cut off, the step still stands, and still lacks what it lacked.
    const keptAlready = stored !== undefined && (stands || 'asKept' in parsed)
    const revision = keptAlready
      ? stored.revision
      : await ground.save(id, stored?.revision ?? 0, submission, clock.timed(findings), options.actor)
    saved = true
    const result = await ground.apply(id, revision, submission, watch, appliedAt)
    return { ok: true, next: nextOf(ground, id), findings, result }
  } catch (thrown) {
    const failed = failedApply(step, thrown)
    if (!isCancelled(thrown)) watch.finding?.(failed.finding)
    return { ok: false, fields: {}, findings: [...findings, failed.finding], error: failed.error, saved }
  }
}

export interface Difference {
  /** Fields whose value is another one than the stored one, or is no longer there. */
  readonly values: readonly string[]
  /** A typed secret is not the kept one. */
  readonly secret: boolean
}

/** What answers would change; everything, where nothing is stored. */
export async function differenceOf(
  ground: Pick<SubmitGround, 'openSecret'>,
  step: DefinedStep,
  { values, hasKeptSecrets }: Submission,
  stored: StoredAnswers | undefined
): Promise<Difference> {
  if (stored === undefined) return { values: Object.keys(values), secret: false }
  const names = new Set([...Object.keys(values), ...Object.keys(stored.values)])
  const kept = Object.keys(stored.secrets).map(
    // One that is lost is like none that can be typed.
    (field) => [field, async () => (await keptOrLost(ground.openSecret(step.id, field, stored))) ?? ''] as const
  )
  return {
    values: [...names].filter((name) => !isDeepStrictEqual(values[name], stored.values[name])),
    secret: !(await hasKeptSecrets(Object.fromEntries(kept)))
  }
}

/**
 * What is kept of a step is what is asked for, secrets too, so that it can be done again by whoever does not have them.
 * @param raw as typed; undefined: whatever is kept. Of a step that has no answers yet: it asks for none.
 */
export async function isKept(
  ground: Pick<SubmitGround, 'openSecret'>,
  step: DefinedStep,
  raw: Readonly<Record<string, unknown>> | undefined,
  stored: StoredAnswers | undefined
): Promise<boolean> {
  if (stored === undefined) return Object.keys(raw ?? {}).length === 0 && step.parse({}).ok
  if (raw === undefined || isAsStored(step, raw, stored)) return true
  const parsed = await readAnswers(ground, step, raw, stored)
  if (!parsed.ok) return false
  const { values, secret } = await differenceOf(ground, step, parsed.submission, stored)
  return values.length === 0 && !secret
}

/** An apply that failed is shown as one more finding; the answers are kept, and Next goes on from where it stopped. */
function failedApply(step: DefinedStep, thrown: unknown): { readonly finding: Finding; readonly error: AppError } {
  const error =
    thrown instanceof AppError ? thrown : new AppError('deploy-failed', messageOf(thrown), { cause: thrown })
  const finding: Finding = {
    id: `${step.id}.apply`,
    title: step.title,
    verdict: 'fail',
    say: error.message,
    cure:
      error.cure ?? 'Your answers are kept. Mend the cause, then press Next again: it goes on from where it stopped.',
    ms: 0
  }
  return { finding, error }
}

export function stepOf(ground: Pick<SubmitGround, 'steps'>, id: StepId): DefinedStep {
  const step = ground.steps.find((candidate) => candidate.id === id)
  if (step === undefined) throw new AppError('not-found', `There is no step ${id}.`)
  return step
}

/** The message of a failed check stands beside its field, too. */
export function fieldMessages(findings: readonly Finding[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const { field, verdict, say } of findings) if (field !== undefined && verdict === 'fail') fields[field] ??= say
  return fields
}

function nextOf(ground: SubmitGround, id: StepId): StepId {
  const index = ground.steps.findIndex((step) => step.id === id)
  return (ground.steps[index + 1] ?? ground.steps[index])?.id ?? id
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}
