/**
 * Hides a step's answer type behind closures, so that the list of steps is one list and nothing is cast: `parse` turns
 * raw input into a Submission that knows how to check and apply itself.
 */
import { z } from 'zod'
import { meant } from '../../lib/service/did-you-mean.ts'
import { sameText } from '../../lib/service/same-text.ts'
import type { ServiceName } from '../../services/catalog.ts'
import { type CheckSurroundings, type CheckWatcher, type Finding, runChecks } from '../checks/check.ts'
import type { ApplyContext, Effect } from './apply-context.ts'
import type { ApplyResult, EarlierAnswers, FieldView, Step, StepId } from './step.ts'
import type { Undos } from './undo-context.ts'

// A schema is used a few times in the life of a process: compiling each to a function costs more than it saves.
z.config({ jitless: true })

export type FieldValue = string | number | boolean | readonly string[]

/** Answers that passed the schema, ready to be checked, kept and applied. */
export interface Submission {
  /** Without secrets; what pages, exports and logs may show. */
  readonly values: Readonly<Record<string, FieldValue>>
  /** What is kept of the secrets (see Step.keep), by field. */
  readonly keepSecrets: () => Promise<Readonly<Record<string, string>>>
  readonly check: (around: CheckSurroundings, watch?: CheckWatcher) => Promise<Finding[]>
  readonly apply: (context: ApplyContext) => Promise<ApplyResult>
  /** Whether every typed secret is the kept one; `kept` opens what is kept of a field. */
  readonly hasKeptSecrets: (kept: Readonly<Record<string, () => Promise<string>>>) => Promise<boolean>
  readonly effects: (earlier: EarlierAnswers) => readonly Effect[]
  readonly plan: readonly string[]
}

export type Parsed =
  | { readonly ok: true; readonly submission: Submission }
  | { readonly ok: false; readonly fields: Readonly<Record<string, string>> }

export interface DefinedStep {
  readonly id: StepId
  readonly title: string
  readonly heading: string
  readonly intro: string
  readonly fields: Readonly<Record<string, FieldView>>
  readonly checkIds: () => Promise<readonly string[]>
  readonly makesStale: readonly StepId[]
  /** See Step.starts; null: none. */
  readonly starts: ServiceName | null
  readonly secretsBoundTo: readonly string[]
  /** False: something else is kept instead (a hash), so an empty field cannot mean "as before". */
  readonly keepsSecretsAsTyped: boolean
  /** `raw` holds field names only (no csrf token, no revision). Unknown and repeated fields are refused by name. */
  readonly parse: (raw: Readonly<Record<string, unknown>>) => Parsed
  /**
   * Fields that are none of this step's or that the choices in `raw` leave out (onlyWhen), each with why and what to do. A form
   * posts what it hides, so `parse` drops the latter; a file or a script means what it says, and asks here first.
   */
  readonly strays: (raw: Readonly<Record<string, unknown>>) => Readonly<Record<string, string>>
  /** Kept answers taken up again after a kill: what passed the schema once is applied as it stands. */
  readonly restore: (values: Readonly<Record<string, unknown>>, secrets: Readonly<Record<string, string>>) => Submission
  /** JSON Schema (draft 2020-12) of what `parse` takes, as the schema alone can say it. */
  readonly jsonSchema: () => Readonly<Record<string, unknown>>
  readonly undo: () => Promise<Undos>
  /** Loads the code of checks and apply, while an earlier step waits for others; they run as well without it. */
  readonly loadAhead: () => Promise<void>
  /** See Step.getReady. */
  readonly getReady: () => Promise<void>
  /** "What Next will do" for answers so far. */
  readonly planFor: (values: Readonly<Record<string, unknown>>) => readonly string[]
}

export function defineStep<Id extends StepId, Answers extends object>(step: Step<Id, Answers>): DefinedStep {
  const views: Readonly<Record<string, FieldView>> = step.fields
  return {
    id: step.id,
    title: step.title,
    heading: step.heading ?? step.title,
    intro: step.intro,
    fields: views,
    checkIds: async () => (await step.checks()).flatMap((check) => check.ids),
    makesStale: step.makesStale,
    starts: step.starts ?? null,
    loadAhead: async () => void (await Promise.all([step.checks(), step.apply?.(), step.ahead?.()])),
    getReady: step.getReady ?? (() => Promise.resolve()),
    undo: step.undo ?? (() => Promise.resolve({})),
    secretsBoundTo: step.secretsBoundTo ?? [],
    jsonSchema: () => ({ ...z.toJSONSchema(step.answers, { io: 'input', unrepresentable: 'any' }) }),
    planFor: (values) => {
      const raw = asked(views, values)
      const parsed = step.answers.safeParse(raw)
      // A page never has the secrets: what was typed so far is said as it stands.
      return step.plan(parsed.success ? parsed.data : (filled(raw) as Partial<Answers>))
    },
    parse: (raw) => {
      const parsed = step.answers.safeParse(asked(views, raw))
      if (!parsed.success) return { ok: false, fields: messages(parsed.error.issues, views) }
      return { ok: true, submission: submissionOf(step, views, parsed.data) }
    },
    strays: (raw) => strays(views, raw),
    restore: (values, secrets) => {
      const parsed = step.answers.safeParse(asked(views, { ...values, ...secrets }))
      // A step that keeps something else instead of its secret (a hash) applies without it (Step.keep).
      return submissionOf(step, views, parsed.success ? parsed.data : (values as Answers))
    },
    keepsSecretsAsTyped: step.keep === undefined
  }
}

function submissionOf<Id extends StepId, Answers extends object>(
  step: Step<Id, Answers>,
  views: Readonly<Record<string, FieldView>>,
  answers: Answers
): Submission {
  const shown: Record<string, FieldValue> = {}
  for (const [name, value] of Object.entries(answers)) {
    if (value !== undefined && value !== null && !views[name]?.secret) shown[name] = value as FieldValue
  }
  return {
    values: shown,
    keepSecrets: () => (step.keep === undefined ? Promise.resolve(secretsOf(answers, views)) : step.keep(answers)),
    check: async (around, watch) => runChecks(await step.checks(), answers, around, watch),
    apply: async (context) => (step.apply === undefined ? {} : (await step.apply())(answers, context)),
    hasKeptSecrets: (kept) => hasKeptSecrets(step, secretsOf(answers, views), answers, kept),
    effects: (earlier) => step.effects?.(answers, earlier) ?? [],
    plan: step.plan(answers)
  }
}

async function hasKeptSecrets<Id extends StepId, Answers>(
  step: Step<Id, Answers>,
  typed: Readonly<Record<string, string>>,
  answers: Answers,
  kept: Readonly<Record<string, () => Promise<string>>>
): Promise<boolean> {
  if (Object.keys(typed).length === 0) return true
  if (step.isKept !== undefined) {
    const opened = await Promise.all(Object.entries(kept).map(async ([field, open]) => [field, await open()] as const))
    return step.isKept(answers, Object.fromEntries(opened))
  }
  for (const [field, secret] of Object.entries(typed)) {
    const open = kept[field]
    if (open === undefined || !sameText(await open(), secret)) return false
  }
  return true
}

/** Leaves out fields that are not asked for (onlyWhen), and empty optional ones, so that schemas stay simple. */
function asked(
  views: Readonly<Record<string, FieldView>>,
  raw: Readonly<Record<string, unknown>>
): Record<string, unknown> {
  const kept = Object.entries(raw).filter(([name, value]) => {
    const view = views[name]
    if (view === undefined) return true
    const condition = view.onlyWhen
    if (condition !== undefined && !condition.is.includes(String(raw[condition.field] ?? ''))) return false
    return !(view.optional === true && value === '')
  })
  // A secret is taken as it was typed: a space at its end belongs to it, and a changed PIN would cost a rejected login.
  const read = (name: string, value: unknown) =>
    typeof value === 'string' && views[name]?.secret !== true ? value.trim() : value
  return Object.fromEntries(kept.map(([name, value]) => [name, read(name, value)]))
}

function strays(
  views: Readonly<Record<string, FieldView>>,
  raw: Readonly<Record<string, unknown>>
): Record<string, string> {
  const told = Object.entries(raw).flatMap(([name, value]) => {
    const view = Object.hasOwn(views, name) ? views[name] : undefined
    if (view === undefined) return [[name, unknownField(name, views)] as const]
    const condition = view.onlyWhen
    if (condition === undefined || value === undefined || value === null || value === '') return []
    const { field, is } = condition
    const chosen = raw[field]
    if (is.includes(String(chosen ?? ''))) return []
    if (views[field]?.control === 'checkbox')
      return [
        [name, `${name} does not apply, since ${field} is not ticked: leave it out, or set ${field}: true.`] as const
      ]
    // A choice that is missing or none is refused itself.
    if (!views[field]?.options?.some((option) => option.value === chosen)) return []
    const other = is.join(' or ')
    return [
      [
        name,
        `${name} does not apply, since ${field} is ${chosen}: leave it out, or choose ${field}: ${other}.`
      ] as const
    ]
  })
  return Object.fromEntries(told)
}

function unknownField(name: string, views: Readonly<Record<string, FieldView>>): string {
  return `There is no field named ${name} in this step.${meant(name, Object.keys(views))}`
}

function filled(raw: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined && value !== ''))
}

function secretsOf(answers: object, views: Readonly<Record<string, FieldView>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(answers).filter(([name, value]) => views[name]?.secret && typeof value === 'string' && value !== '')
  )
}

interface Issue {
  readonly code?: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
}

/** One message a field, by name; unknown fields are named too, form-level problems stand under `_`. */
function messages(issues: readonly Issue[], views: Readonly<Record<string, FieldView>>): Record<string, string> {
  // A map: a field may be called `constructor` or `__proto__`, and must be refused like any other that is unknown.
  const byField = new Map<string, string>()
  const note = (field: string, message: string) => {
    if (!byField.has(field)) byField.set(field, message)
  }
  for (const issue of issues) {
    for (const key of issue.keys ?? []) note(key, unknownField(key, views))
    if (issue.code === 'unrecognized_keys') continue
    const name = issue.path.length === 0 ? '_' : String(issue.path[0])
    note(name, Object.hasOwn(views, name) || name === '_' ? issue.message : `${name}: ${issue.message}`)
  }
  return Object.fromEntries(byField)
}
