/** What setup answers, as zod schemas: the OpenAPI description is made from them, and the contract test reads answers with them. */
import { z } from 'zod'
import { errorCodes } from '../../../lib/errors/app-error.ts'
import { stepIds } from '../../steps/step.ts'

const stepId = z.enum(stepIds)

const finding = z.object({
  id: z.string().describe('Step and check: kms.slot-present.'),
  title: z.string(),
  verdict: z.enum(['pass', 'info', 'warn', 'fail', 'skip']),
  say: z.string().describe('What was seen, in plain words.'),
  cure: z.string().optional().describe('The next thing to do; every fail has one.'),
  guide: z.string().optional(),
  field: z.string().optional(),
  offer: z.object({ label: z.string(), values: z.record(z.string(), z.string()) }).optional(),
  ckr: z.object({ code: z.number(), name: z.string() }).optional(),
  ms: z.number()
})

const shownOnce = z.object({
  label: z.string(),
  value: z.string().describe('A secret is in the first answer only, not in one that is given again.'),
  secret: z.boolean().optional()
})

const planItem = z.object({
  step: stepId,
  kind: z.string().describe('As in the ledger; answers for a step that only keeps what was typed.'),
  name: z.string(),
  action: z.enum(['create', 'change', 'keep', 'leave']).describe('leave: made for earlier answers, not taken away.'),
  why: z.string()
})

const plan = z.object({
  install: z.string().nullable().describe('null: there is none yet.'),
  items: z.array(planItem),
  steps: z.array(stepId).describe('Steps that apply would submit, in order.'),
  changed: z.boolean(),
  hash: z.string().describe('SHA-256 over what is wanted and what is there, hex.')
})

const fieldView = z.object({
  label: z.string(),
  control: z.enum(['text', 'password', 'number', 'select', 'checkbox', 'textarea']),
  hint: z.string().optional(),
  placeholder: z.string().optional(),
  initial: z.string().optional(),
  options: z.array(z.object({ value: z.string(), label: z.string() })).optional(),
  secret: z.boolean().optional().describe('Write-only: never answered.'),
  optional: z.boolean().optional(),
  autocomplete: z.string().optional(),
  folded: z.string().optional(),
  onlyWhen: z.object({ field: z.string(), is: z.array(z.string()) }).optional(),
  prefillFrom: z.string().optional()
})

const state = z.enum(['done', 'attention', 'current', 'later'])

const problem = z.object({
  type: z.string().describe(`/problems/<code>, a page of ours, or about:blank. Codes: ${errorCodes.join(', ')}.`),
  status: z.int(),
  title: z.string(),
  detail: z.string(),
  instance: z.string().describe('urn:request:<id>; the log has the same id.'),
  errors: z
    .array(
      z.object({
        pointer: z.string(),
        detail: z.string(),
        code: z.string().optional().describe('The check that refused it, as findings have it: database.connects.'),
        remedy: z.string().optional().describe('What cures it.')
      })
    )
    .optional(),
  cure: z.string().optional(),
  findings: z.array(finding).optional().describe('Of a step: what the live checks saw.'),
  plan: plan.optional().describe('Of apply, 409: the plan of now.'),
  moved: z
    .array(z.object({ was: planItem.nullable(), is: planItem.nullable() }))
    .optional()
    .describe('Of apply, 409: by which items the plan of now differs from the one that was agreed on.'),
  stoppedAt: stepId.nullable().optional().describe('Of apply: the step that was refused or failed.'),
  job: z.string().optional().describe('409: address of the job that is under way.'),
  accepted: z.boolean().optional().describe('Of a new password: it is right, and kept.'),
  done: z.array(stepId).optional().describe('Of apply: steps that were done before it stopped; they stand.'),
  showOnce: z.array(shownOnce).optional()
})

const instant = z.string().describe('ISO 8601, UTC.')
const effectState = z.enum(['begun', 'done'])

const job = z.object({
  id: z.string(),
  kind: z.enum(['submit', 'check', 'change-password', 'apply', 'resume']),
  step: stepId.nullable(),
  title: z.string().describe('Next of KMS Deployment.'),
  actor: z.enum(['browser', 'script', 'answers file', 'keyscaler']),
  state: z
    .enum(['running', 'cancelling', 'done', 'failed', 'cancelled', 'interrupted'])
    .describe('interrupted: keyscaler ended before it did.'),
  startedAt: instant,
  endedAt: instant.nullable(),
  elapsedMs: z.number(),
  waiting: z.object({ what: z.string(), since: instant }).nullable(),
  phases: z.array(
    z.object({
      step: stepId.nullable(),
      title: z.string(),
      state: z.enum(['running', 'done', 'failed', 'cancelled']),
      startedAt: instant,
      ms: z.number(),
      log: z.array(z.string()).describe('The last lines of what it waits for.')
    })
  ),
  steps: z
    .array(z.object({ id: stepId, state: z.enum(['waiting', 'running', 'done', 'failed']) }))
    .describe('Of an apply.'),
  findings: z.array(finding),
  problem: problem.nullable(),
  stands: z
    .array(z.object({ kind: z.string(), name: z.string(), state: effectState }))
    .describe('What of its effects is there, or was begun; of a job that did not end well.'),
  retryable: z.boolean(),
  resumes: z.string().nullable().describe('The job that this one goes on with.'),
  next: stepId.nullable(),
  finished: z.boolean().describe('Setup is finished, and locked.'),
  location: z.string().nullable().describe('Where setup goes on when it has ended well.'),
  links: z.object({
    self: z.string(),
    events: z.string(),
    cancel: z.string().nullable(),
    retry: z.string().nullable()
  }),
  showOnce: z.array(shownOnce).optional().describe('Once, to the token that asked for it, when it did not wait.')
})

const problemType = z.object({
  code: z.enum(errorCodes),
  status: z.int(),
  title: z.string(),
  means: z.string(),
  todo: z.string()
})

const kmsStatus = z.object({
  name: z.literal('kms'),
  state: z.enum(['starting', 'ready', 'unhealthy', 'backing-off', 'latched', 'stopped']),
  pid: z.int().nullable(),
  address: z.string(),
  since: instant,
  restarts: z.int(),
  detail: z.string()
})

/** Of an install that is finished. */
const complete = z.object({
  verdict: z.object({ ok: z.boolean(), text: z.string() }),
  services: z.array(
    z.object({ title: z.string(), address: z.string(), state: z.string(), ok: z.boolean(), lastCheck: z.string() })
  ),
  hsm: z.object({
    hsmProtected: z.boolean(),
    label: z.string(),
    serial: z.string(),
    slot: z.string(),
    fipsMode: z.enum(['on', 'off', 'unknown']),
    masterKeyId: z.string(),
    decryptedAfterRestart: z.string().optional().describe('Absent: not proved yet.')
  }),
  caFingerprint: z.string(),
  enrolCommand: z.string(),
  controlPanel: z.string(),
  stillToDo: z.array(z.string()),
  keepsakes: z.object({ answers: z.string(), record: z.string().optional() })
})

const answerSchemas = {
  Problem: problem,
  Session: z.object({ token: z.string() }),
  Progress: z.object({
    install: z.string(),
    next: stepId,
    steps: z.array(z.object({ id: stepId, number: z.int(), title: z.string(), state, pending: z.boolean() }))
  }),
  Step: z.object({
    id: stepId,
    title: z.string(),
    heading: z.string(),
    intro: z.string(),
    fields: z.record(z.string(), fieldView),
    checkIds: z.array(z.string()),
    makesStale: z.array(stepId),
    secretsBoundTo: z.array(z.string()),
    keepsSecretsAsTyped: z.boolean(),
    state,
    revision: z.int(),
    values: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
    secretsKept: z.array(z.string())
  }),
  Checked: z.object({ ok: z.literal(true), findings: z.array(finding) }),
  Submitted: z.object({
    ok: z.literal(true),
    next: stepId,
    findings: z.array(finding),
    showOnce: z.array(shownOnce)
  }),
  Job: job,
  Jobs: z.object({ jobs: z.array(job) }),
  Plan: plan,
  Applied: z.object({
    changed: z.boolean(),
    plan: z.string(),
    steps: z.array(stepId),
    showOnce: z.array(shownOnce),
    finished: z.boolean().describe('Setup is finished, and locked.')
  }),
  ProblemType: problemType,
  ProblemTypes: z.object({ errors: z.array(problemType) }),
  Status: z.object({
    finishedAt: instant.nullable().describe('null: an answers file is being applied.'),
    verdict: complete.shape.verdict,
    sealed: z.boolean().describe('The KMS waits for the present password of the key store.'),
    controlPanel: z.string(),
    complete: complete.optional().describe('For callers on this machine.')
  }),
  PasswordState: z.object({
    keyStore: z.object({ label: z.string(), serial: z.string(), slot: z.int(), hsm: z.boolean() }).optional(),
    failedLogins: z.object({ known: z.int(), atMost: z.int() }).optional(),
    kms: z.object({ state: z.string(), detail: z.string() }).optional()
  }),
  NewPassword: z.object({ ok: z.literal(true), findings: z.array(finding), kms: kmsStatus }),
  Alive: z.object({ alive: z.literal(true) }),
  Document: z.looseObject({})
} as const

export type AnswerName = keyof typeof answerSchemas

/** As OpenAPI 3.1 components: JSON Schema 2020-12. */
export function componentSchemas(): Record<string, object> {
  return Object.fromEntries(
    Object.entries(answerSchemas).map(([name, schema]) => {
      const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'output' })
      return [name, rest]
    })
  )
}
