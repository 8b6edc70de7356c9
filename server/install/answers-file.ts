/**
 * The answers file: `apiVersion: setup/v1`, and under `steps` each step's fields, as the form has them. Secrets may be
 * `{ file: path }` (a 0600 file); a secret written into the file itself asks that the file be 0600. Unknown steps and
 * keys are refused with their line.
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { DefinedStep } from '../steps/define-step.ts'

export type RawAnswers = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface AnswersFile {
  readonly steps: RawAnswers
  /** Warnings are accepted for the whole run. */
  readonly continueAnyway: boolean
}

const fileReference = z.strictObject({ file: z.string().min(1) })
const shape = z.strictObject({
  apiVersion: z.literal('setup/v1', { error: 'apiVersion must be setup/v1.' }),
  continueAnyway: z.boolean().default(false),
  steps: z.record(z.string(), z.record(z.string(), z.unknown()).nullable())
})

/** @throws AppError invalid-input with file:line:column */
export async function readAnswersFile(path: string, steps: readonly DefinedStep[]): Promise<AnswersFile> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    throw new AppError('invalid-input', `${path} cannot be read: ${messageOf(cause)}`, { cause })
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true })
  const [broken] = document.errors
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0])
    throw new AppError('invalid-input', `${path}:${line}:${col}: ${broken.message.split('\n')[0]}`)
  }
  const place = (keys: readonly PropertyKey[]) => {
    const node = document.getIn(keys, true)
    const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : null
    const { line, col } = lines.linePos(Array.isArray(range) ? Number(range[0]) : 0)
    return `${path}:${line}:${col}`
  }
  const parsed = shape.safeParse(document.toJS())
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new AppError('invalid-input', `${place(issue?.path ?? [])}: ${issue?.message}`)
  }

  const answers: Record<string, Record<string, unknown>> = {}
  for (const [id, given] of Object.entries(parsed.data.steps)) {
    const step = steps.find((candidate) => candidate.id === id)
    if (step === undefined) {
      const known = steps.map((candidate) => candidate.id).join(', ')
      throw new AppError('invalid-input', `${place(['steps', id])}: there is no step ${id} (steps: ${known}).`)
    }
    answers[id] = {}
    for (const [field, value] of Object.entries(given ?? {})) {
      const view = step.fields[field]
      const at = place(['steps', id, field])
      if (view === undefined) throw new AppError('invalid-input', `${at}: ${step.title} has no field ${field}.`)
      const reference = fileReference.safeParse(value)
      if (reference.success) answers[id][field] = await fileContent(reference.data.file, path, at, view.secret === true)
      else if (view.secret === true && (await readableByOthers(path))) {
        throw new AppError('invalid-input', `${at}: ${field} is a secret, and ${path} may be read by others.`, {
          cure: `chmod 600 ${path}, or write {file: …} instead of the secret.`
        })
      } else answers[id][field] = value
    }
  }
  return { steps: answers, continueAnyway: parsed.data.continueAnyway }
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
  const text = secret ? await readPrivateFile(path) : await readFile(path, 'utf8').catch(() => null)
  if (text === null) throw new AppError('invalid-input', `${at}: the file ${path} is missing.`)
  // An editor ends a file with a line end; a space before it may be part of a password.
  return secret ? text.replace(/\r?\n$/, '') : text.trimEnd()
}

async function readableByOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o077) !== 0
}
