/**
 * A step is data: id, title, answer schema, field views, checks, what it makes stale, and apply. The ordered list in
 * install/steps.ts is the product's table of contents.
 */
import type { z } from 'zod'
import type { ServiceName } from '../../services/catalog.ts'
import type { Check } from '../checks/check.ts'
import type { ApplyContext, Effect } from './apply-context.ts'
import type { Undos } from './undo-context.ts'

export const stepIds = [
  'welcome',
  'database',
  'kms',
  'memcached',
  'account',
  'license',
  'kafka',
  'dae',
  'mqs',
  'cp',
  'complete'
] as const
export type StepId = (typeof stepIds)[number]

/** Every key of every member of a union, so that KMS answers may be Luna | NSS and still label every field. */
export type KeysOfUnion<T> = T extends unknown ? keyof T & string : never

/** How a field is shown. The label is also the name in messages: "You must provide a value for <label>." */
export interface FieldView {
  readonly label: string
  readonly control: 'text' | 'password' | 'number' | 'select' | 'checkbox' | 'textarea'
  readonly hint?: string
  readonly placeholder?: string
  /** What stands in the field before anything was typed. */
  readonly initial?: string
  readonly options?: readonly { readonly value: string; readonly label: string }[]
  /** Write-only: never shown again, cleared on errors, kept in a credential file or sealed. */
  readonly secret?: boolean
  readonly optional?: boolean
  readonly autocomplete?: string
  /** Stands folded under this heading ("HSM client", "Certificate"), with working defaults. */
  readonly folded?: string
  /** Shown (and asked for) only when another field has one of these values. */
  readonly onlyWhen?: { readonly field: string; readonly is: readonly string[] }
  /** Takes its first value from an earlier step's answer: `kms.kmsHost`. */
  readonly prefillFrom?: string
}

export interface Step<Id extends StepId = StepId, Answers = unknown> {
  readonly id: Id
  /** In the list and the page title, as the guide has it. */
  readonly title: string
  /** The h1, where it differs from the title ("KMS Host Information"). */
  readonly heading?: string
  readonly intro: string
  /** Strict schema over flat fields; strings from forms are coerced by it; messages are the product's. */
  readonly answers: z.ZodType<Answers>
  readonly fields: Readonly<Record<KeysOfUnion<Answers>, FieldView>>
  /** Loaded when they are run, like what `apply` needs: a command that finds nothing to do loads neither. */
  readonly checks: () => Promise<readonly Check<Answers>[]>
  /** Done steps that must be looked at again when this one's answers change. */
  readonly makesStale: readonly StepId[]
  /** The service that apply starts, or starts again: its program may load its code while the checks run. */
  readonly starts?: ServiceName
  /** A kept secret is dropped, and must be typed again, when one of these changes (never sent to another host). */
  readonly secretsBoundTo?: readonly KeysOfUnion<Answers>[]
  /** What may be stored of a secret instead of itself (the account's password becomes its argon2id hash). */
  readonly keep?: (answers: Answers) => Promise<Readonly<Record<string, string>>>
  /** Whether a typed secret is the one of which `keep` kept something else; absent: what is kept is the secret itself. */
  readonly isKept?: (answers: Answers, kept: Readonly<Record<string, string>>) => Promise<boolean>
  /** Every effect that `apply` writes into the ledger for these answers; absent: none. */
  readonly effects?: (answers: Answers, earlier: EarlierAnswers) => readonly Effect[]
  /** Loaded when something is taken away; absent: all goes with the schema. */
  readonly undo?: () => Promise<Undos>
  /** "What Next will do", from answers so far; one line an effect. */
  readonly plan: (answers: Partial<Answers>) => readonly string[]
  /** Loaded when it is run. Idempotent; each effect goes through context.effect, which writes the ledger. Absent: Next only saves. */
  readonly apply?: () => Promise<(answers: Answers, context: ApplyContext) => Promise<ApplyResult>>
  /** What apply may have started for it while the checks run: never waited for; ends by itself when nothing comes of it. */
  readonly getReady?: () => Promise<void>
  /** Loads what checks and apply load late: see DefinedStep.loadAhead. */
  readonly ahead?: () => Promise<unknown>
}

/** Answers of the steps before, without secrets, by step id. */
export type EarlierAnswers = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

export interface ApplyResult {
  /** Shown once, on the page that follows (participant id and secret); never stored as it is. */
  readonly showOnce?: readonly { readonly label: string; readonly value: string; readonly secret?: boolean }[]
}
