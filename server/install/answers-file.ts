/**
 * The answers file: `apiVersion: setup/v1`, and under `steps` each step's fields, as the form has them; YAML, or JSON,
 * which is YAML too. A value may stand elsewhere (secret-reference.ts); a secret written into the file itself asks that
 * the file be ours and 0600. Everything that is wrong is told at once, each with its line and column.
 */
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { closestName, meant } from '../../lib/service/did-you-mean.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { RefusedFile } from './refused-file.ts'
import { referenceSchema, referred } from './secret-reference.ts'
import { type SkipRequest, skipRefusal, skipRequest } from './skips.ts'
import { openedAs, readYamlFile, type YamlFile } from './yaml-file.ts'

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
    // Each is looked at by itself below: what is wrong with one hides nothing of the others.
    steps: z.record(z.string(), z.unknown(), { error: 'steps must hold the steps, each with its fields.' })
  },
  { error: 'The file must begin with apiVersion: setup/v1.' }
)

interface Problem {
  readonly keys: readonly PropertyKey[]
  readonly why: string
  readonly cure?: string | undefined
}

/**
 * All that can be refused without asking anybody is refused here, before anything is touched.
 * @throws RefusedFile with one line a problem, each beginning with file:line:column
 */
export async function readAnswersFile(
  path: string,
  steps: readonly DefinedStep[],
  { whole = false }: ReadOptions = {}
): Promise<AnswersFile> {
  const file = await readYamlFile(path)
  const parsed = shape.safeParse(file.value)
  const { success, error } = parsed
  const reader = new StepReader(path, await notOursAlone(path))
  if (!success) reader.problems.push(...shapeProblems(error.issues))
  const given = isMap(file.value) ? file.value : {}
  const skip = Array.isArray(given.skip) ? given.skip : []
  for (const [index, one] of skip.entries()) {
    const check = isMap(one) ? one.check : undefined
    if (typeof check !== 'string') continue
    const first = skip.findIndex((other) => isMap(other) && other.check === check)
    const why = first < index ? `${check} is skipped twice.` : skipRefusal(check)
    if (why !== null) reader.problems.push({ keys: ['skip', index, 'check'], why })
  }
  const byStep = isMap(given.steps) ? given.steps : null
  const answers: Record<string, Record<string, unknown>> = {}
  for (const [id, fields] of Object.entries(byStep ?? {})) {
    const step = steps.find((candidate) => candidate.id === id)
    if (step === undefined) reader.unknownStep(id, steps)
    else if (fields === null || isMap(fields)) answers[id] = await reader.read(step, fields ?? {}, whole)
    else reader.problems.push({ keys: ['steps', id], why: 'A step holds its fields, as name: value.' })
  }
  if (whole && byStep !== null) {
    for (const step of steps) {
      if (!Object.hasOwn(byStep, step.id)) answers[step.id] = await reader.read(step, {}, true)
    }
  }
  if (!success || reader.problems.length > 0) throw refused(file, reader.problems)
  const { continueAnyway, skip: skips } = parsed.data
  return { steps: answers, continueAnyway, ...(skips.length === 0 ? {} : { skip: skips }) }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What is not as the shape has it; a name that is missing only since it was mistyped is told once. */
function shapeProblems(issues: readonly z.core.$ZodIssue[]): readonly Problem[] {
  const mistyped = issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return []
    const known = Object.keys(issue.path[0] === 'skip' ? skipRequest.shape : shape.shape)
    return issue.keys.map((key) => {
      const keys = [...issue.path, key]
      return { keys, meant: closestName(key, known), why: `There is nothing named ${key}.${meant(key, known)}` }
    })
  })
  const isMistyped = ({ path }: z.core.$ZodIssue) =>
    mistyped.some(({ keys, meant: name }) => name === path.at(-1) && keys.length === path.length)
  const others = issues
    .filter((issue) => issue.code !== 'unrecognized_keys' && !isMistyped(issue))
    .map(({ path, message }) => ({ keys: path, why: message }))
  return [...mistyped.map(({ keys, why }) => ({ keys, why })), ...others]
}

/** Reads step after step of one file, and notes what is wrong. */
class StepReader {
  readonly problems: Problem[] = []
  readonly #path: string
  /** Why a secret may not stand in the file itself. */
  readonly #open: string | null

  constructor(path: string, open: string | null) {
    this.#path = path
    this.#open = open
  }

  unknownStep(id: string, steps: readonly DefinedStep[]): void {
    const known = steps.map((step) => step.id)
    const why = `there is no step ${id} (steps: ${known.join(', ')}).${meant(id, known)}`
    this.problems.push({ keys: ['steps', id], why })
  }

  async read(step: DefinedStep, given: Readonly<Record<string, unknown>>, whole: boolean) {
    const told = new Set<string>()
    const note = (field: string, problem: Omit<Problem, 'keys'>) => {
      if (told.has(field)) return
      told.add(field)
      this.problems.push({ keys: ['steps', step.id, field], ...problem })
    }
    const fields: Record<string, unknown> = {}
    for (const [field, typed] of Object.entries(given)) {
      const why = await this.#refusal(step, field, typed, fields)
      if (why !== null) note(field, why)
    }
    for (const [field, why] of Object.entries(step.strays(fields))) note(field, { why })
    // What is missing may be kept from an earlier run; what is there and wrong is wrong now.
    const parsed = step.parse(fields)
    for (const [field, why] of parsed.ok ? [] : Object.entries(parsed.fields)) {
      if (!(whole || Object.hasOwn(fields, field))) continue
      note(field, { why: Object.hasOwn(fields, field) || field === '_' ? why : `${field}: ${why}` })
    }
    return fields
  }

  /** Takes one field into `fields`, or says why not. */
  async #refusal(
    step: DefinedStep,
    field: string,
    typed: unknown,
    fields: Record<string, unknown>
  ): Promise<Omit<Problem, 'keys'> | null> {
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

function refused(file: YamlFile, problems: readonly Problem[]): RefusedFile {
  return new RefusedFile(
    problems.map(({ keys, why, cure }) => ({
      pointer: `/${keys.map(String).join('/')}`,
      place: file.placeOf(keys),
      why,
      cure
    }))
  )
}

/**
 * Why a secret may not stand in it; null: it may. As for others, a file that root applies is root's own, or that of the user who
 * called sudo: whoever else owns it could have written what is about to be done as root.
 */
async function notOursAlone(path: string): Promise<string | null> {
  const seen = await stat(openedAs(path))
  const { mode, uid } = seen
  // Nobody else can open it, whatever its mode says.
  if (seen.isSocket()) return null
  if ((mode & 0o077) !== 0) return 'may be read by others'
  const us = userInfo().uid
  const caller = us === 0 ? Number(process.env.SUDO_UID ?? us) : us
  return uid === us || uid === caller ? null : 'belongs to another user'
}
