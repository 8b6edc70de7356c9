/**
 * "Change it now" on step 3 (CKR_PIN_EXPIRED, guide item 13): registered with the routes of setup, behind the same session.
 * A job like any other: the partition may take its time, and the KMS is restarted with the new password.
 */
import type { FastifyInstance } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { problemOf } from '../../lib/service/problems.ts'
import type { Finding } from '../checks/check.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { Install } from '../install/install.ts'
import type { JobWatch } from '../install/jobs/job-watch.ts'
import { type ChangeOrder, readChange } from '../key-store-password/change-answers.ts'
import { changePassword } from '../key-store-password/change-password.ts'
import { kmsRunsWith } from '../key-store-password/kms-restart.ts'
import { answerBegun } from './jobs/begun-job.ts'
import { holderOf, jobDesk } from './jobs/job-desk.ts'
import { showJob } from './jobs/job-page.ts'
import { answerRefused } from './jobs/refused.ts'
import { type SetupGround, withoutSecrets } from './jobs/setup-ground.ts'
import { actorOf, outOfOrder } from './jobs/step-posts.ts'
import { answerFormOf, objectBody, postedStep } from './negotiation.ts'

const id = 'kms.change-password'
const title = 'Change the password'

interface Changed {
  readonly findings: readonly Finding[]
  /** Absent: it was changed. */
  readonly error?: AppError
}

export function changePasswordRoutes(app: FastifyInstance, ground: SetupGround): void {
  const { install, openStep, render, tls } = ground
  app.post('/setup/steps/kms/change-password', async (request, reply) => {
    const { step, open } = await openStep({ id: 'kms' })
    if (!open) throw outOfOrder(step)
    const body = objectBody(request.body)
    const typed = withoutSecrets(step, postedStep(body).answers)
    const read = await readChange(install.stateDir, body)
    if (!read.ok) {
      const { fields } = read
      const say = Object.values(fields).join(' ')
      const findings = [row('fail', say, 0)]
      if (answerFormOf(request) === 'json') {
        return answerRefused(request, reply, new AppError('invalid-input', say, { fields }), findings)
      }
      // What is wrong with the new password stands in the row of the check, where its fields are.
      const ofStep = Object.fromEntries(Object.entries(fields).filter(([name]) => name in step.fields))
      return render(request, reply.code(422), step, { typed, fields: ofStep, findings })
    }
    const job = install.jobs.start(
      { kind: 'change-password', step: 'kms', title: 'A change of the key store password', actor: actorOf(request) },
      (watch) => change(install, read.order, watch),
      ({ error }) => ({ error })
    )
    const holder = holderOf(request, tls)
    jobDesk(install).remember(job.id, { holder, typed, continueAnyway: false, once: [] })
    return answerBegun(install, request, reply, job, {
      json: ({ error, findings }) =>
        error === undefined ? { ok: true, findings } : answerRefused(request, reply, error, findings),
      page: (ended) => showJob(ground, request, reply, ended, true)
    })
  })
}

function row(verdict: Finding['verdict'], say: string, ms: number, cure?: string): Finding {
  const finding = { id, title, verdict, say, ms, guide: 'Guide: DPoD item 13' }
  return cure === undefined ? finding : { ...finding, cure }
}

async function change(install: Install, order: ChangeOrder, watch: JobWatch): Promise<Changed> {
  const began = performance.now()
  const findings: Finding[] = []
  const tell = (verdict: Finding['verdict'], say: string, cure?: string) => {
    const finding = row(verdict, say, performance.now() - began, cure)
    findings.push(finding)
    watch.finding(finding)
  }
  const { stateDir } = install
  try {
    // The last moment: what the partition was told it has done, or not.
    watch.signal.throwIfAborted()
    await changePassword({ stateDir, ...order }, watch.phase)
    const done = 'The Crypto Officer password was changed. Enter the new one and press Next.'
    const refused = await restartKms(install, order, watch)
    if (refused === null) tell('pass', done)
    else tell('warn', `${done} The KMS did not take it: ${refused}`)
    return { findings }
  } catch (thrown) {
    const error =
      thrown instanceof AppError ? thrown : new AppError('internal', 'The password was not changed.', { cause: thrown })
    tell('fail', error.message, error.cure)
    return { findings, error }
  }
}

/** The KMS that runs has the old one: it takes the new one now, not when it is started for another reason. @returns why not */
async function restartKms(
  { stateDir, target }: Install,
  { config }: ChangeOrder,
  watch: JobWatch
): Promise<string | null> {
  const record = await readKeyStoreRecord(stateDir)
  if (record === null || !(await kmsRunsWith(stateDir, config, record))) return null
  return target.restart('kms', watch.phase, watch).then(
    () => null,
    (thrown) => problemOf(thrown, '').detail
  )
}
