/**
 * The answers file: `apiVersion: setup/v1`, and under `steps` each step's fields, as the form has them; YAML, or JSON,
 * which is YAML too. A value may stand elsewhere (secret-reference.ts); a secret written into the file itself asks that
 * the file be ours and 0600. Everything that is wrong is told at once, each with its line and column.
 */
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { meant } from './did-you-mean.ts'
import { referenceSchema, referred } from './secret-reference.ts'
import { type SkipRequest, skipRefusal, skipRequest } from './skips.ts'
import { readYamlFile, type YamlFile } from './yaml-file.ts'

export type RawAnswers = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface AnswersFile {
  readonly steps: RawAnswers
  /** Warnings are accepted for the whole run. */
  readonly continueAnyway: boolean
  /** Checks that are left out for the whole run; none of them is strict. */
  readonly skip?: readonly SkipRequest[]
}

/** Those of one step. */
export function skipsOf({ skip = [] }: Pick<AnswersFile, 'skip'>, step: string): readonly SkipRequest[] {
  return skip.filter(({ check }) => check.startsWith(`${step}.`))
}

export interface ReadOptions {
  /** Nothing is kept from an earlier run, so what is missing is wrong too. */
  readonly whole?: boolean
}

const shape = z.strictObject(
  {
    // For editors (yaml-language-server reads it as a comment, VS Code's JSON from here); not read by us.
    $schema: z.string().optional(),
    apiVersion: z.literal('setup/v1', { error: 'apiVersion must be setup/v1.' }),
    continueAnyway: z.boolean({ error: 'continueAnyway must be true or false.' }).default(false),
    skip: z.array(skipRequest, { error: 'skip holds a list of checks, each with check: and reason:.' }).default([]),
    steps: z.record(
      z.string(),
      z.record(z.string(), z.unknown(), { error: 'A step holds its fields, as name: value.' }).nullable(),
      { error: 'steps must hold the steps, each with its fields.' }
    )
  },
  {
    error: ({ code, keys }) =>
      code === 'unrecognized_keys'
        ? `There is nothing named ${keys}.`
        : 'The file must begin with apiVersion: setup/v1.'
  }
)

interface Problem {
  readonly at: string
  readonly why: string
  readonly cure?: string | undefined
}

/**
 * All that can be refused without asking anybody is refused here, before anything is touched.
 * @throws AppError invalid-input with one line a problem, each beginning with file:line:column
 */
export async function readAnswersFile(
  path: string,
  steps: readonly DefinedStep[],
  { whole = false }: ReadOptions = {}
): Promise<AnswersFile> {
  const file = await readYamlFile(path)
  const parsed = shape.safeParse(file.value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const key = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
    throw refused([{ at: file.placeOf([...(issue?.path ?? []), ...key]), why: issue?.message ?? '' }])
  }
  const { skip } = parsed.data
  const reader = new StepReader(path, file, await notOursAlone(path))
  for (const [index, { check }] of skip.entries()) {
    const why =
      skip.findIndex((other) => other.check === check) < index ? `${check} is skipped twice.` : skipRefusal(check)
    if (why !== null) reader.problems.push({ at: file.placeOf(['skip', index, 'check']), why })
  }
  const answers: Record<string, Record<string, unknown>> = {}
  for (const [id, given] of Object.entries(parsed.data.steps)) {
    const step = steps.find((candidate) => candidate.id === id)
    if (step === undefined) reader.unknownStep(id, steps)
    else answers[id] = await reader.read(step, given ?? {}, whole)
  }
  if (whole) {
    for (const step of steps) {
      if (!Object.hasOwn(parsed.data.steps, step.id)) answers[step.id] = await reader.read(step, {}, true)
    }
  }
  if (reader.problems.length > 0) throw refused(reader.problems)
  return { steps: answers, continueAnyway: parsed.data.continueAnyway, ...(skip.length === 0 ? {} : { skip }) }
}

/** Reads step after step of one file, and notes what is wrong. */
class StepReader {
  readonly problems: Problem[] = []
  readonly #path: string
  readonly #file: YamlFile
  /** Why a secret may not stand in the file itself. */
  readonly #open: string | null

  constructor(path: string, file: YamlFile, open: string | null) {
    this.#path = path
    this.#file = file
    this.#open = open
  }

  unknownStep(id: string, steps: readonly DefinedStep[]): void {
    const known = steps.map((step) => step.id)
    const why = `there is no step ${id} (steps: ${known.join(', ')}).${meant(id, known)}`
    this.problems.push({ at: this.#file.placeOf(['steps', id]), why })
  }

  async read(step: DefinedStep, given: Readonly<Record<string, unknown>>, whole: boolean) {
    const before = this.problems.length
    const fields: Record<string, unknown> = {}
    for (const [field, typed] of Object.entries(given)) {
      const why = await this.#refusal(step, field, typed, fields)
      if (why !== null) this.problems.push({ at: this.#file.placeOf(['steps', step.id, field]), ...why })
    }
    // What is missing may be kept from an earlier run; what is there and wrong is wrong now.
    const parsed = step.parse(fields)
    if (!parsed.ok) {
      for (const [field, why] of Object.entries(parsed.fields)) {
        const told = this.problems.slice(before).some(({ at }) => at === this.#file.placeOf(['steps', step.id, field]))
        if (told || !(whole || Object.hasOwn(fields, field))) continue
        const named = Object.hasOwn(fields, field) || field === '_' ? why : `${field}: ${why}`
        this.problems.push({ at: this.#file.placeOf(['steps', step.id, field]), why: named })
      }
    }
    return fields
  }

  /** Takes one field into `fields`, or says why not. */
  async #refusal(
    step: DefinedStep,
    field: string,
    typed: unknown,
    fields: Record<string, unknown>
  ): Promise<Omit<Problem, 'at'> | null> {
    const view = Object.hasOwn(step.fields, field) ? step.fields[field] : undefined
    if (view === undefined)
      return { why: `${step.title} has no field ${field}.${meant(field, Object.keys(step.fields))}` }
    if (typed === null) return null
    const secret = view.secret === true
    const reference = referenceSchema.safeParse(typed)
    if (reference.success) {
      try {
        fields[field] = await referred(reference.data, this.#path, secret)
        return null
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown
        return { why: thrown.message, cure: thrown.cure }
      }
    }
    if (typeof typed === 'object' && !Array.isArray(typed)) {
      return { why: `${field} takes a value, or one of {file: path}, {credential: name}, {env: NAME}.` }
    }
    if (secret && this.#open !== null) {
      const cure = `chmod 600 ${this.#path} as its owner, or write {file: …} instead of the secret.`
      return { why: `${field} is a secret, and ${this.#path} ${this.#open}.`, cure }
    }
    fields[field] = typed
    return null
  }
}

/** First values for the form's fields: no secrets, and no ticks (nobody accepts terms for another). */
export function suggestionsFrom(file: AnswersFile, steps: readonly DefinedStep[]): RawAnswers {
  return Object.fromEntries(
    steps.map((step) => {
      const given = Object.entries(file.steps[step.id] ?? {})
      return [
        step.id,
        Object.fromEntries(
          given.filter(([name]) => !step.fields[name]?.secret && step.fields[name]?.control !== 'checkbox')
        )
      ]
    })
  )
}

function refused(problems: readonly Problem[]): AppError {
  const cures = [...new Set(problems.map(({ cure }) => cure).filter((cure) => cure !== undefined))]
  const text = problems.map(({ at, why }) => `${at}: ${why}`).join('\n')
  return new AppError('invalid-input', text, cures.length === 0 ? {} : { cure: cures.join('\n') })
}

/** Root may read what it likes; everybody else keeps secrets in files of their own. */
async function notOursAlone(path: string): Promise<string | null> {
  const { mode, uid } = await stat(path)
  if ((mode & 0o077) !== 0) return 'may be read by others'
  const us = userInfo().uid
  return us === 0 || uid === us ? null : 'belongs to another user'
}
