/** Every call of setup for scripts, one row each: the description (open-api.ts), its page and the contract test read this. */
import { skipSchema, stepSchema } from '../../install/answers-schema.ts'
import { steps } from '../../install/steps.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import type { AnswerName } from './schemas.ts'
import type { TokenScope } from './tokens.ts'

type Json = Readonly<Record<string, unknown>>

export interface Operation {
  readonly operationId: string
  readonly group: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  /** null: open to everybody who reaches the address. */
  readonly scope: TokenScope | null
  readonly body?: Json
  readonly status: number
  readonly answer: AnswerName | 'yaml' | 'events'
  /** Begins a job: 202 with it, and `status` only for who prefers to wait for its end. */
  readonly begins?: true
  /** Takes Prefer: wait. */
  readonly waits?: true
  /** Statuses of problems that are this call's own, besides 401, 403, 410, 429 and 5xx. */
  readonly refusals: readonly number[]
}

const signIn = 'Sign in'
const planning = 'Plan and apply'
const working = 'Jobs'
const describing = 'About this API'

const object = (properties: Json, required: readonly string[]): Json => ({
  type: 'object',
  properties,
  ...(required.length === 0 ? {} : { required }),
  additionalProperties: false
})

/** Of bodySchemas(). */
const named = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })

const continueAnyway = { type: 'boolean', default: false, description: 'Warnings are accepted.' }

const wantedSteps: Json = {
  $schema: { type: 'string' },
  apiVersion: { const: 'setup/v1' },
  continueAnyway,
  skip: {
    type: 'array',
    description: 'Checks that are not run, each with the reason; it is kept with the answers.',
    items: skipSchema
  },
  steps: {
    ...object(Object.fromEntries(steps.map(({ id }) => [id, named(`${id}.answers`)])), []),
    description: 'A step that is absent keeps its answers, and so does a secret.'
  }
}
const agreed: Json = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'The hash of the plan that is agreed on.'
}

const fixed: readonly Operation[] = [
  {
    operationId: 'signIn',
    group: signIn,
    method: 'POST',
    path: '/setup/session',
    summary: 'Spends the one-time code for a bearer token. A token of keyscaler token create needs none of this.',
    scope: null,
    body: object({ code: { type: 'string', maxLength: 200, writeOnly: true } }, ['code']),
    status: 201,
    answer: 'Session',
    refusals: [401, 422]
  },
  {
    operationId: 'progress',
    group: 'Steps',
    method: 'GET',
    path: '/setup/progress',
    summary: 'Which steps are done, and which is next.',
    scope: 'read',
    status: 200,
    answer: 'Progress',
    refusals: []
  },
  {
    operationId: 'changePassword',
    group: 'Steps',
    method: 'POST',
    path: '/setup/steps/kms/change-password',
    summary: 'Changes an expired or initial Crypto Officer password in the token, before step kms is submitted.',
    scope: 'setup',
    body: changePasswordBody(),
    begins: true,
    status: 200,
    answer: 'Checked',
    refusals: [409, 422]
  },
  {
    operationId: 'planOfKept',
    group: planning,
    method: 'GET',
    path: '/setup/plan',
    summary: 'What applying the kept answers would create, change, keep or leave, with a hash.',
    scope: 'read',
    status: 200,
    answer: 'Plan',
    refusals: []
  },
  {
    operationId: 'plan',
    group: planning,
    method: 'POST',
    path: '/setup/plan',
    summary: 'The same for answers that are sent: the answers file as JSON, with the values in it. Changes nothing.',
    scope: 'setup',
    body: object(wantedSteps, []),
    status: 200,
    answer: 'Plan',
    refusals: [422]
  },
  {
    operationId: 'apply',
    group: planning,
    method: 'POST',
    path: '/setup/apply',
    summary:
      'Does what was agreed on; 200 at once when that is nothing. 409 with the difference when the world has moved.',
    scope: 'setup',
    body: object({ ...wantedSteps, plan: agreed }, ['plan']),
    begins: true,
    status: 200,
    answer: 'Applied',
    refusals: [409, 422]
  },
  {
    operationId: 'jobs',
    group: working,
    method: 'GET',
    path: '/setup/jobs',
    summary: 'The last jobs, the newest first.',
    scope: 'read',
    status: 200,
    answer: 'Jobs',
    refusals: []
  },
  {
    operationId: 'job',
    group: working,
    method: 'GET',
    path: '/setup/jobs/{id}',
    summary:
      'What a job is doing, or how it ended. With Prefer: wait=<s> it is answered when it ends. Who asked for it may read it for ten minutes after it has locked setup.',
    scope: 'read',
    waits: true,
    status: 200,
    answer: 'Job',
    refusals: [404]
  },
  {
    operationId: 'jobEvents',
    group: working,
    method: 'GET',
    path: '/setup/jobs/{id}/events',
    summary:
      'Its events as server-sent events: step, phase, log, finding, waiting, effect, cancelling, a heartbeat now and then, and end as the last. Each has an id; Last-Event-ID goes on after it.',
    scope: 'read',
    status: 200,
    answer: 'events',
    refusals: [404]
  },
  {
    operationId: 'cancelJob',
    group: working,
    method: 'POST',
    path: '/setup/jobs/{id}/cancel',
    summary: 'Stops it at its next safe point. What is done by then stands, and answers that were saved are kept.',
    scope: 'setup',
    status: 202,
    answer: 'Job',
    refusals: [404, 409]
  },
  {
    operationId: 'retryJob',
    group: working,
    method: 'POST',
    path: '/setup/jobs/{id}/retry',
    summary:
      'Goes on from where the newest job stopped, with the answers that are kept, as a job of its own. 409 when nothing was kept.',
    scope: 'setup',
    begins: true,
    status: 200,
    answer: 'Job',
    refusals: [404, 409]
  },
  {
    operationId: 'exportAnswers',
    group: planning,
    method: 'GET',
    path: '/setup/answers.yaml',
    summary: 'The answers file that reproduces what is answered so far; every secret stands elsewhere.',
    scope: 'read',
    status: 200,
    answer: 'yaml',
    refusals: []
  },
  {
    operationId: 'answersSchema',
    group: describing,
    method: 'GET',
    path: '/setup/answers.schema.json',
    summary: 'JSON Schema of the answers file.',
    scope: null,
    status: 200,
    answer: 'Document',
    refusals: []
  },
  {
    operationId: 'describe',
    group: describing,
    method: 'GET',
    path: '/setup/openapi.json',
    summary: 'This description.',
    scope: null,
    status: 200,
    answer: 'Document',
    refusals: []
  },
  {
    operationId: 'problemType',
    group: describing,
    method: 'GET',
    path: '/problems/{code}',
    summary: "Where a problem's type leads: what it means and what to do. Also after setup.",
    scope: null,
    status: 200,
    answer: 'ProblemType',
    refusals: [404]
  },
  {
    operationId: 'alive',
    group: describing,
    method: 'GET',
    path: '/healthz',
    summary: 'The wizard runs. Also after setup.',
    scope: null,
    status: 200,
    answer: 'Alive',
    refusals: []
  }
]

function ofStep(step: DefinedStep): readonly Operation[] {
  const { id, title } = step
  const path = `/setup/steps/${id}`
  const common = { group: title, body: named(`${id}.submission`), refusals: [409, 422] } as const
  return [
    {
      operationId: `${id}.read`,
      group: title,
      method: 'GET',
      path,
      summary: 'Its fields, what is answered so far, and which secrets are kept (never a secret itself).',
      scope: 'read',
      status: 200,
      answer: 'Step',
      refusals: []
    },
    {
      ...common,
      operationId: `${id}.check`,
      method: 'POST',
      path: `${path}/check`,
      summary: 'Proves the answers live; keeps and changes nothing.',
      scope: 'setup',
      begins: true,
      status: 200,
      answer: 'Checked'
    },
    {
      ...common,
      operationId: `${id}.submit`,
      method: 'POST',
      path,
      summary: 'Proves the answers live, keeps them and does what they ask for; Location is where setup goes on.',
      scope: 'setup',
      begins: true,
      status: 303,
      answer: 'Submitted'
    }
  ]
}

/** What is sent, by the names that operations use: a step's answers alone, and as they are submitted. */
export function bodySchemas(): Readonly<Record<string, Json>> {
  return Object.fromEntries(
    steps.flatMap((step) => [
      [`${step.id}.answers`, stepSchema(step, false)],
      [`${step.id}.submission`, submission(step)]
    ])
  )
}

/** The answers of a step, and what a script may send beside them. */
function submission(step: DefinedStep): Json {
  const { title, ...schema } = stepSchema(step, false)
  const beside = {
    _continue: { anyOf: [{ const: 'yes' }, { type: 'boolean' }], description: 'yes: warnings are accepted.' },
    _skip: { ...(wantedSteps.skip as Json) },
    _revision: { type: 'integer', description: 'Refused with 409 when the step has another revision by now.' }
  }
  const withOwn = (member: Json): Json => ({ ...member, properties: { ...(member.properties as Json), ...beside } })
  return Array.isArray(schema.oneOf) ? { title, oneOf: schema.oneOf.map(withOwn) } : { title, ...withOwn(schema) }
}

function changePasswordBody(): Json {
  const kms = steps.find(({ id }) => id === 'kms')
  const members = kms === undefined ? [] : (stepSchema(kms, false).oneOf as readonly { readonly properties: Json }[])
  const { properties = {} } = members.find(({ properties: own }) => 'slot' in own) ?? {}
  const ofKeyStore = ['slot', 'partition', 'serial', 'library', 'confPath', 'password', 'sendAgain', 'confirmLabel']
  const secret = { type: 'string', writeOnly: true }
  const asked = Object.entries(properties).filter(([name]) => ofKeyStore.includes(name))
  return object({ ...Object.fromEntries(asked), newPassword: secret, newPasswordAgain: secret }, [
    'slot',
    'partition',
    'newPassword',
    'newPasswordAgain'
  ])
}

export const operations: readonly Operation[] = [...fixed, ...steps.flatMap(ofStep)]
