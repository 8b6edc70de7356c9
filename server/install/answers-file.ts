/**
 * The answers file: `apiVersion: setup/v1`, and under `steps` each step's fields, as the form has them. Secrets may be
 * `{ file: path }` (a 0600 file); a secret written into the file itself asks that the file be 0600. Unknown steps and
 * keys are refused with their line.
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { readYamlFile } from './yaml-file.ts'

export type RawAnswers = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface AnswersFile {
  readonly steps: RawAnswers
  /** Warnings are accepted for the whole run. */
  readonly continueAnyway: boolean
}

const fileReference = z.strictObject({ file: z.string().min(1) })
const shape = z.strictObject(
  {
    apiVersion: z.literal('setup/v1', { error: 'apiVersion must be setup/v1.' }),
    continueAnyway: z.boolean({ error: 'continueAnyway must be true or false.' }).default(false),
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

/**
 * All that can be refused without asking anybody is refused here, before anything is touched.
 * @throws AppError invalid-input with file:line:column
 */
export async function readAnswersFile(path: string, steps: readonly DefinedStep[]): Promise<AnswersFile> {
  const { value, placeOf } = await readYamlFile(path)
  const parsed = shape.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const key = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
    throw new AppError('invalid-input', `${placeOf([...(issue?.path ?? []), ...key])}: ${issue?.message}`)
  }
  const open = await readableByOthers(path)
  const answers: Record<string, Record<string, unknown>> = {}
  for (const [id, given] of Object.entries(parsed.data.steps)) {
    const step = steps.find((candidate) => candidate.id === id)
    if (step === undefined) {
      const known = steps.map((candidate) => candidate.id).join(', ')
      throw new AppError('invalid-input', `${placeOf(['steps', id])}: there is no step ${id} (steps: ${known}).`)
    }
    const fields: Record<string, unknown> = {}
    for (const [field, typed] of Object.entries(given ?? {})) {
      const at = placeOf(['steps', id, field])
      const view = Object.hasOwn(step.fields, field) ? step.fields[field] : undefined
      if (view === undefined) throw new AppError('invalid-input', `${at}: ${step.title} has no field ${field}.`)
      if (typed === null) continue
      const reference = fileReference.safeParse(typed)
      if (reference.success) fields[field] = await fileContent(reference.data.file, path, at, view.secret === true)
      else if (typeof typed === 'object' && !Array.isArray(typed)) {
        throw new AppError('invalid-input', `${at}: ${field} takes a value, or {file: path} and nothing else.`)
      } else if (view.secret === true && open) {
        throw new AppError('invalid-input', `${at}: ${field} is a secret, and ${path} may be read by others.`, {
          cure: `chmod 600 ${path}, or write {file: …} instead of the secret.`
        })
      } else fields[field] = typed
    }
    refuseWrongValues(step, fields, (field) => placeOf(['steps', id, field]))
    answers[id] = fields
  }
  return { steps: answers, continueAnyway: parsed.data.continueAnyway }
}

/** What is missing may be kept from an earlier run; what is there and wrong is wrong now. */
function refuseWrongValues(
  step: DefinedStep,
  fields: Readonly<Record<string, unknown>>,
  placeOf: (field: string) => string
): void {
  const parsed = step.parse(fields)
  if (parsed.ok) return
  const wrong = Object.entries(parsed.fields).find(([field]) => Object.hasOwn(fields, field))
  if (wrong !== undefined) throw new AppError('invalid-input', `${placeOf(wrong[0])}: ${wrong[1]}`)
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

async function fileContent(file: string, from: string, at: string, secret: boolean): Promise<string> {
  const path = isAbsolute(file) ? file : resolve(dirname(from), file)
  const refuse = (why: string, cure?: string): never => {
    throw new AppError('invalid-input', `${at}: ${why}`, cure === undefined ? {} : { cure })
  }
  const info = await stat(path).catch(() => null)
  if (info === null) refuse(`the file ${path} is missing.`)
  if (info?.isFile() !== true) refuse(`${path} is not a file.`)
  const text = await (secret ? readPrivateFile(path) : readFile(path, 'utf8')).catch((cause) =>
    refuse(messageOf(cause), cause instanceof AppError ? cause.cure : undefined)
  )
  // An editor ends a file with a line end; a space before it may be part of a password.
  return (secret ? text?.replace(/\r?\n$/, '') : text?.trimEnd()) ?? ''
}

async function readableByOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o077) !== 0
}
