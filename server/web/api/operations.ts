/** Every call of setup for scripts, one row each: the description (open-api.ts), its page and the contract test read this. */
import { steps } from '../../install/steps.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import { operationsAfterSetup } from './operations-after-setup.ts'
import {
  agreedPlan,
  changePasswordBody,
  type Json,
  listFields,
  namedBody,
  objectSchema,
  wantedSteps
} from './request-bodies.ts'
import type { AnswerName } from './schemas.ts'
import type { TokenScope } from './tokens.ts'

export interface Operation {
  readonly operationId: string
  readonly group: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  /** null: open to everybody who reaches the address; `password`: a token of /key-store-password/session. */
  readonly scope: TokenScope | 'password' | null
  /** When it is there; absent: while setup is open. */
  readonly served?: 'after' | 'always'
  readonly body?: Json
  /** Taken as a form too, with the fields that are lists: one text with commas each. */
  readonly forms?: readonly string[]
  readonly status: number
  readonly answer: AnswerName | 'yaml' | 'events' | 'record'
  /** Answers without a body besides that one, with when they are given. */
  readonly also?: Readonly<Record<number, string>>
  /** Begins a job: 202 with it, and `status` only for who prefers to wait for its end. */
  readonly begins?: true
  /** Takes Prefer: wait. */
  readonly waits?: true
  /** Takes Last-Event-ID. */
  readonly resumes?: true
  /** Statuses of problems that are this call's own, besides 401, 403, 410, 429 and 5xx. */
  readonly refusals: readonly number[]
}

const signIn = 'Sign in'
const planning = 'Plan and apply'
const working = 'Jobs'
const describing = 'About this API'

const fixed: readonly Operation[] = [
  {
    operationId: 'signIn',
    group: signIn,
    method: 'POST',
    path: '/setup/session',
    summary: 'Spends the one-time code for a bearer token. A token of keyscaler token create needs none of this.',
    scope: null,
    body: objectSchema({ code: { type: 'string', maxLength: 200, writeOnly: true } }, ['code']),
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
    body: objectSchema(wantedSteps, []),
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
    body: objectSchema({ ...wantedSteps, plan: agreedPlan }, ['plan']),
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
    resumes: true,
    status: 200,
    answer: 'events',
    also: { 204: 'It has ended, and Last-Event-ID names its last event: there is nothing to come back for.' },
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
    served: 'always',
    status: 200,
    answer: 'ProblemType',
    refusals: [404]
  },
  {
    operationId: 'problemTypes',
    group: describing,
    method: 'GET',
    path: '/help/errors',
    summary: 'All of them. Plain curl gets the page: it is JSON for who asks for JSON. Also after setup.',
    scope: null,
    served: 'always',
    status: 200,
    answer: 'ProblemTypes',
    refusals: []
  },
  {
    operationId: 'alive',
    group: describing,
    method: 'GET',
    path: '/healthz',
    summary: 'The wizard runs. Also after setup.',
    scope: null,
    served: 'always',
    status: 200,
    answer: 'Alive',
    refusals: []
  }
]

function ofStep(step: DefinedStep): readonly Operation[] {
  const { id, title } = step
  const path = `/setup/steps/${id}`
  const body = namedBody(`${id}.submission`)
  const common = { group: title, body, forms: listFields(step), refusals: [409, 422] }
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

export const operations: readonly Operation[] = [...fixed, ...steps.flatMap(ofStep), ...operationsAfterSetup]
