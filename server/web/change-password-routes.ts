/** "Change it now" on step 3 (CKR_PIN_EXPIRED, guide item 13): registered with the routes of setup, behind the same session. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { problemOf, problemTable } from '../../lib/service/problems.ts'
import type { Finding } from '../checks/check.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { Install } from '../install/install.ts'
import { isOpen } from '../install/progress.ts'
import { stepOf } from '../install/submit.ts'
import { readChange } from '../key-store-password/change-answers.ts'
import { changePassword } from '../key-store-password/change-password.ts'
import { kmsRunsWith } from '../key-store-password/kms-restart.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { answerFormOf, postedStep } from './negotiation.ts'
import type { PageState } from './step-page.ts'
import type { StreamLine } from './view-model.ts'

export interface ChangePasswordRoutes {
  readonly install: Install
  readonly render: (
    request: FastifyRequest,
    reply: FastifyReply,
    step: DefinedStep,
    state: PageState
  ) => Promise<unknown>
  readonly pageLine: (request: FastifyRequest, step: DefinedStep, state: PageState) => Promise<StreamLine>
}

const id = 'kms.change-password'
const title = 'Change the password'

interface Changed {
  readonly findings: readonly Finding[]
  readonly fields: Readonly<Record<string, string>>
  /** null: it was changed. */
  readonly error: AppError | null
}

export function changePasswordRoutes(app: FastifyInstance, { install, render, pageLine }: ChangePasswordRoutes): void {
  app.post('/setup/steps/kms/change-password', async (request, reply) => {
    const step = stepOf(install, 'kms')
    if (!isOpen(await install.progress(), 'kms')) {
      throw new AppError('out-of-order', `${step.title} comes later: the steps before it are not done.`)
    }
    const body = typeof request.body === 'object' && request.body !== null ? { ...request.body } : {}
    const changed = await change(install, body)
    const { findings, fields, error } = changed
    const form = answerFormOf(request)
    if (form === 'json') {
      if (error === null) return { ok: true, findings }
      const problem = problemOf(error, request.id)
      return reply
        .code(problem.status)
        .type('application/problem+json')
        .send({ ...problem, findings })
    }
    const typed = { ...postedStep(request.body).answers }
    for (const [name, view] of Object.entries(step.fields)) if (view.secret === true) delete typed[name]
    const state: PageState = { typed, fields: ofStep(step, fields), findings }
    if (form === 'stream') {
      const line = `${JSON.stringify(await pageLine(request, step, state))}\n`
      return reply.type('application/x-ndjson; charset=utf-8').send(line)
    }
    return render(request, reply.code(error === null ? 200 : problemTable[error.code].status), step, state)
  })
}

/** What is wrong with the new password stands in the row of the check, where its fields are. */
function ofStep(step: DefinedStep, fields: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name in step.fields))
}

async function change(install: Install, raw: Readonly<Record<string, unknown>>): Promise<Changed> {
  const began = performance.now()
  const row = (verdict: Finding['verdict'], say: string, cure?: string): Finding => {
    const finding = { id, title, verdict, say, ms: performance.now() - began, guide: 'Guide: DPoD item 13' }
    return cure === undefined ? finding : { ...finding, cure }
  }
  const { stateDir, target } = install
  try {
    const read = await readChange(stateDir, raw)
    if (!read.ok) {
      const { fields } = read
      const say = Object.values(fields).join(' ')
      return { findings: [row('fail', say)], fields, error: new AppError('invalid-input', say, { fields }) }
    }
    await changePassword({ stateDir, ...read.order }, () => {})
    const findings = [row('pass', 'The Crypto Officer password was changed. Enter the new one and press Next.')]
    const record = await readKeyStoreRecord(stateDir)
    if (record !== null && (await kmsRunsWith(stateDir, read.order.config, record))) {
      // The KMS that runs has the old one: it takes the new one now, not when it is started for another reason.
      await target
        .restart('kms')
        .catch((thrown) => findings.push(row('warn', `The KMS did not take it: ${problemOf(thrown, '').detail}`)))
    }
    return { findings, fields: {}, error: null }
  } catch (thrown) {
    const error =
      thrown instanceof AppError ? thrown : new AppError('internal', 'The password was not changed.', { cause: thrown })
    return { findings: [row('fail', error.message, error.cure)], fields: error.fields ?? {}, error }
  }
}
