/**
 * What applying answers would do, before anything is done: every effect with create, change or keep, and why. The hash
 * is over what is wanted and what is there, so that `apply` can refuse when the world has moved in between.
 */
import { createHash } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { Effect } from '../steps/apply-context.ts'
import type { DefinedStep, Submission } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import type { RawAnswers } from './answers-file.ts'
import type { StoredAnswers } from './boot-file.ts'
import { type AnswersByStep, progressOf } from './progress.ts'
import type { LedgerRow } from './store.ts'
import { type Difference, differenceOf, isAsStored, readAnswers, type SubmitGround } from './submit.ts'

/** `leave`: made for earlier answers, not asked for any more, and not taken away by apply. */
export type PlanAction = 'create' | 'change' | 'keep' | 'leave'

export interface PlanItem {
  readonly step: StepId
  /** As in the ledger; `answers` for a step that only keeps what was typed. */
  readonly kind: Effect['kind'] | 'answers'
  readonly name: string
  readonly action: PlanAction
  readonly why: string
}

export interface Plan {
  /** Id of the install; null: there is none yet. */
  readonly install: string | null
  readonly items: readonly PlanItem[]
  /** Steps that apply would submit, in order. */
  readonly steps: readonly StepId[]
  readonly changed: boolean
  /** SHA-256, hex. Holds no secret, and nothing that a secret could be guessed from. */
  readonly hash: string
}

/** What is there; the empty one stands for a host without an install. */
export interface PlanGround extends Pick<SubmitGround, 'openSecret'> {
  readonly install: string | null
  readonly steps: readonly DefinedStep[]
  readonly answers: AnswersByStep
  readonly ledger: readonly LedgerRow[]
  readonly finished: boolean
}

export const nothingThere = (steps: readonly DefinedStep[]): PlanGround => ({
  install: null,
  steps,
  answers: new Map(),
  ledger: [],
  finished: false,
  openSecret: () => Promise.resolve('')
})

export interface PlanOptions {
  /** What nobody has answered yet is named as such, from the first such step on, instead of refused. */
  readonly unanswered?: boolean
  /** Services are only being looked at: what they are in the middle of says nothing. */
  readonly servicesUnseen?: boolean
}

/**
 * @param wanted answers by step, as typed; a step that is absent keeps its stored answers
 * @throws AppError invalid-input naming the step and its fields (`steps/<id>/<field>`) when answers are missing or wrong
 */
export async function planAnswers(
  ground: PlanGround,
  wanted: RawAnswers,
  { unanswered = false }: PlanOptions = {}
): Promise<Plan> {
  const { steps, answers } = ground
  const done = new Map(progressOf(steps, answers).map(({ id, state }) => [id, state === 'done']))
  const earlier: Record<string, Submission['values']> = {}
  const changing = new Set<StepId>()
  /** Asked for as it stands, but something of it was never made: no later step goes stale by that. */
  const lacking = new Set<StepId>()
  const items: PlanItem[] = []
  const revisions: unknown[] = []
  let open = false
  const looks = steps.map((step) => ({ step, look: lookAt(ground, step, wanted[step.id], answers.get(step.id)) }))
  // They are waited for below, in the order of the steps.
  for (const { look } of looks) look.catch(() => {})
  for (const { step, look } of looks) {
    const stored = answers.get(step.id)
    const given = wanted[step.id] !== undefined || stored !== undefined
    open ||= unanswered && !given && !step.parse({}).ok
    if (open && !given) {
      // What it would make depends on answers that are not there.
      items.push({ step: step.id, kind: 'answers', name: step.id, action: 'create', why: 'not answered yet' })
      changing.add(step.id)
      revisions.push([step.id, 0])
      continue
    }
    const { submission, changed } = await look
    const because = reasonFor(step, stored, changed, done.get(step.id) === true, staleBecause(steps, step, changing))
    const effects = submission.effects(earlier)
    if (because !== null) changing.add(step.id)
    else if (lacksSome(effects, ground.ledger)) lacking.add(step.id)
    items.push(...itemsOf(step, effects, because, changed, ground.ledger))
    earlier[step.id] = submission.values
    revisions.push([step.id, stored?.revision ?? 0, stored?.appliedAt ?? null, submission.values, changed])
  }
  // Nothing is left to do when setup is locked and every step stands; the last step is what locks it.
  const last = steps.at(-1)
  if (last !== undefined && (changing.size + lacking.size > 0 || !ground.finished)) changing.add(last.id)
  const left = leftOver(items, ground.ledger)
  const all = [...items, ...left]
  const chosen = steps.map(({ id }) => id).filter((id) => changing.has(id) || lacking.has(id))
  const { install, finished, ledger } = ground
  const observed = { install, finished, revisions, ledger, items: all, steps: chosen }
  return {
    install,
    items: all,
    steps: chosen,
    changed: changing.size > 0,
    hash: createHash('sha256').update(JSON.stringify(observed)).digest('hex')
  }
}

/** The items by which two plans differ: what moved in the world between them. */
export function movedBetween(
  before: Plan,
  now: Plan
): readonly { readonly was: PlanItem | null; readonly is: PlanItem | null }[] {
  const keyOf = ({ step, kind, name }: PlanItem) => `${step}\n${kind}\n${name}`
  const old = new Map(before.items.map((item) => [keyOf(item), item]))
  const moved = now.items
    .map((is) => ({ was: old.get(keyOf(is)) ?? null, is }))
    .filter(({ was, is }) => was?.action !== is.action || was.why !== is.why)
  const present = new Set(now.items.map(keyOf))
  return [...moved, ...before.items.filter((item) => !present.has(keyOf(item))).map((was) => ({ was, is: null }))]
}

interface Looked {
  readonly submission: Submission
  readonly changed: Difference
}

/** What is kept of a secret may have to be opened by the KMS, or be hashed: all steps' at once. */
async function lookAt(
  ground: PlanGround,
  step: DefinedStep,
  raw: RawAnswers[string] | undefined,
  stored: StoredAnswers | undefined
): Promise<Looked> {
  const submission = await wantedOf(ground, step, raw, stored)
  return { submission, changed: await differenceOf(ground, step, submission, stored) }
}

async function wantedOf(
  ground: PlanGround,
  step: DefinedStep,
  raw: RawAnswers[string] | undefined,
  stored: StoredAnswers | undefined
): Promise<Submission> {
  if (stored !== undefined && (raw === undefined || isAsStored(step, raw, stored)))
    return step.restore(stored.values, {})
  const parsed = await readAnswers(ground, step, raw ?? {}, stored)
  if (parsed.ok) return parsed.submission
  const fields = Object.entries(parsed.fields)
  throw new AppError('invalid-input', `${step.title}: ${fields.map(([name, why]) => `${name}: ${why}`).join(' ')}`, {
    fields: Object.fromEntries(fields.map(([name, why]) => [`steps/${step.id}/${name}`, why]))
  })
}

function staleBecause(steps: readonly DefinedStep[], step: DefinedStep, changing: ReadonlySet<StepId>): string | null {
  const other = steps.find(({ id, makesStale }) => changing.has(id) && makesStale.includes(step.id))
  return other === undefined ? null : `${other.title} changes`
}

/** Why a step is submitted again; null: it stands as it is. */
function reasonFor(
  step: DefinedStep,
  stored: StoredAnswers | undefined,
  changed: Difference,
  done: boolean,
  stale: string | null
): string | null {
  if (stored === undefined) return 'not done yet'
  if (stored.appliedAt === null) return 'begun and not finished'
  const names = changed.values.map((name) => step.fields[name]?.label ?? name)
  if (names.length > 0) return `other answers: ${names.join(', ')}`
  if (changed.secret) return 'another password or key'
  return stale ?? (done ? null : 'a step before it has changed since')
}

function itemsOf(
  step: DefinedStep,
  effects: readonly Effect[],
  because: string | null,
  changed: Difference,
  ledger: readonly LedgerRow[]
): PlanItem[] {
  if (effects.length === 0) {
    const action = because === null ? 'keep' : because === 'not done yet' ? 'create' : 'change'
    return [{ step: step.id, kind: 'answers', name: step.id, action, why: because ?? 'as it is' }]
  }
  return effects.map((effect) => {
    const { kind, name } = effect
    const row = ledger.find((candidate) => isRowOf(effect, candidate))
    if (row === undefined || row.state === 'undone')
      return { step: step.id, kind, name, action: 'create', why: because ?? 'missing' }
    if (row.state === 'intent') return { step: step.id, kind, name, action: 'create', why: 'begun and not finished' }
    const touched =
      because !== null && (effect.of === undefined || changed.values.some((field) => effect.of?.includes(field)))
    return {
      step: step.id,
      kind,
      name,
      action: touched ? 'change' : 'keep',
      why: touched ? (because ?? '') : 'as it is'
    }
  })
}

/** Of what a step that stands should have made, the ledger does not have something: a version before this one made less, or a row is lost. */
export function lacksSome(effects: readonly Effect[], ledger: readonly LedgerRow[]): boolean {
  return effects.some((effect) => !ledger.some((row) => row.state === 'done' && isRowOf(effect, row)))
}

function isRowOf({ kind, name }: Pick<Effect, 'kind' | 'name'>, row: LedgerRow): boolean {
  if (row.kind !== kind) return false
  return row.name === name || (kind === 'database-user' && row.name.startsWith(`${name}@`))
}

function leftOver(items: readonly PlanItem[], ledger: readonly LedgerRow[]): PlanItem[] {
  return ledger
    .filter((row) => row.state !== 'undone')
    .filter((row) => !items.some(({ kind, name }) => kind !== 'answers' && isRowOf({ kind, name }, row)))
    .map(({ step, kind, name }) => ({
      step: step as StepId,
      kind: kind as Effect['kind'],
      name,
      action: 'leave',
      why: 'made for earlier answers; keyscaler destroy takes it away'
    }))
}
