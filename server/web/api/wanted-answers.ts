/** What POST /setup/plan and /setup/apply take: the answers file as JSON, with the values themselves in it. */
import { z } from 'zod'
import { AppError } from '../../../lib/errors/app-error.ts'
import { meant } from '../../../lib/service/did-you-mean.ts'
import type { RawAnswers } from '../../install/answers-file.ts'
import { type SkipRequest, skipRequest } from '../../install/skips.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import { objectBody } from '../negotiation.ts'

const members = {
  $schema: z.string({ error: '$schema must be text.' }).optional(),
  apiVersion: z.literal('setup/v1', { error: 'apiVersion must be setup/v1.' }).optional(),
  steps: z
    .record(z.string(), z.record(z.string(), z.unknown(), { error: 'A step holds its fields, as name: value.' }), {
      error: 'steps must hold the steps, each with its fields.'
    })
    .default({}),
  continueAnyway: z.boolean({ error: 'continueAnyway must be true or false.' }).default(false),
  skip: z.array(skipRequest, { error: 'skip holds a list of checks, each with check and reason.' }).default([])
}

const planHash = z.string().regex(/^[0-9a-f]{64}$/, 'plan takes the hash of a plan.')
const planBody = z.strictObject(members)
const applyBody = z.strictObject({ ...members, plan: planHash })

export interface Wanted {
  readonly steps: RawAnswers
  readonly continueAnyway: boolean
  /** Checks to leave out, each with its reason; submit refuses what is strict. */
  readonly skip: readonly SkipRequest[]
}

/** @throws AppError invalid-input with every problem, each under its place: `steps/kms/slot` */
export function wantedFrom(body: unknown, steps: readonly DefinedStep[]): Wanted {
  return wantedIn(read(planBody, body), steps)
}

/** @throws AppError invalid-input as wantedFrom */
export function applyFrom(body: unknown, steps: readonly DefinedStep[]): Wanted & { readonly plan: string } {
  const { plan, ...rest } = read(applyBody, body)
  return { ...wantedIn(rest, steps), plan }
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const { _csrf, ...given } = objectBody(body)
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw refused(
    parsed.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key): [string, string] => [
            [...issue.path, key].join('/'),
            `There is nothing named ${key} here.${meant(key, issue.path[0] === 'skip' ? skipMembers : topMembers)}`
          ])
        : [[issue.path.join('/'), issue.path[0] === 'plan' ? hashWanted : issue.message] as [string, string]]
    )
  )
}

const topMembers = Object.keys(applyBody.shape)
const skipMembers = Object.keys(skipRequest.shape)

const hashWanted = 'plan takes the hash of a plan: POST the same steps to /setup/plan, or GET it.'

function wantedIn({ steps: given, ...rest }: Wanted, steps: readonly DefinedStep[]): Wanted {
  const problems: [string, string][] = []
  const ids = steps.map((step) => step.id)
  const answers: Record<string, Record<string, unknown>> = {}
  for (const [id, fields] of Object.entries(given)) {
    const step = steps.find((candidate) => candidate.id === id)
    if (step === undefined) {
      problems.push([`steps/${id}`, `There is no step ${id} (steps: ${ids.join(', ')}).${meant(id, ids)}`])
      continue
    }
    const parsed = step.parse(fields)
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
      const why = `${name} takes the value itself: what stands elsewhere is read from an answers file on the host only.`
      problems.push([`steps/${id}/${name}`, why])
    }
    for (const [name, why] of Object.entries(step.strays(fields))) problems.push([`steps/${id}/${name}`, why])
    // What is missing may be kept from before; the plan knows. What is there and wrong is wrong now.
    for (const [name, why] of parsed.ok ? [] : Object.entries(parsed.fields)) {
      const place = `steps/${id}/${name}`
      if (Object.hasOwn(fields, name) && !problems.some(([told]) => told === place)) problems.push([place, why])
    }
    answers[id] = fields
  }
  if (problems.length > 0) throw refused(problems)
  return { ...rest, steps: answers }
}

function refused(problems: readonly (readonly [place: string, why: string])[]): AppError {
  return new AppError('invalid-input', problems.map(([, why]) => why).join(' '), {
    fields: Object.fromEntries(problems)
  })
}
