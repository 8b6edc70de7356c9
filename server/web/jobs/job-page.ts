/** A job for a browser: under way on a page of its own, ended well where it leads, ended badly on the page of its step. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Finding } from '../../checks/check.ts'
import type { Install } from '../../install/install.ts'
import { hasEnded, type JobDocument } from '../../install/jobs/job.ts'
import { fieldMessages, stepOf } from '../../install/submit.ts'
import { jobModel } from '../job-model.ts'
import { product } from '../product.ts'
import type { PageState } from '../step-page.ts'
import { stepHead, stepLinks } from '../step-page.ts'
import type { JobPage } from '../view-model.ts'
import { statusOf } from './begun-job.ts'
import { locationAfter } from './job-answer.ts'
import { jobDesk } from './job-desk.ts'
import type { SetupGround } from './setup-ground.ts'

/** @param posted it is the answer to the form that began it, and has the status of how it went */
export async function showJob(
  { install, callerIn, render }: SetupGround,
  request: FastifyRequest,
  reply: FastifyReply,
  job: JobDocument,
  posted = false
): Promise<unknown> {
  const location = locationAfter(job)
  if (location !== null) return reply.redirect(location, 303)
  if (posted) reply.code(statusOf(job))
  const step = formOf(job)
  if (step !== null && hasEnded(job)) return render(request, reply, stepOf(install, step), stateAfter(install, job))
  const { csrf } = callerIn(request)
  const page: JobPage = {
    product,
    steps: stepLinks(await install.progress(), job.step, hasEnded(job) ? null : currentOf(job)),
    ...(job.step === null ? {} : { step: stepHead(install, stepOf(install, job.step)) }),
    job: jobModel(job, install, csrf),
    findings: job.findings
  }
  return reply.viewAsync('/job.eta', page)
}

/** The step at which it works now. */
function currentOf({ step, steps }: JobDocument) {
  return steps.find(({ state }) => state === 'running')?.id ?? step
}

/** The step whose form asked for it. */
function formOf({ kind, step }: JobDocument) {
  return kind === 'apply' || kind === 'resume' ? null : step
}

function stateAfter(install: Install, job: JobDocument): PageState {
  const remembered = jobDesk(install).find(job.id)
  const { problem, state, phases } = job
  const named = (problem?.errors ?? []).map(({ pointer, detail }) => [pointer.slice(1), detail] as const)
  const fields = { ...fieldMessages(job.findings), ...Object.fromEntries(named) }
  const known = formFields(install, job)
  return {
    ...(remembered?.typed == null ? {} : { typed: remembered.typed }),
    continueAnyway: remembered?.continueAnyway ?? false,
    fields: Object.fromEntries(Object.entries(fields).filter(([name]) => known.has(name))),
    findings: [...job.findings, ...unsaid(job)],
    // A check that said no is said by its row.
    ...(state === 'done' || (state === 'failed' && phases.length === 0) ? {} : { job })
  }
}

/** What is wrong with a new password stands in the row of the check, where its fields are. */
function formFields(install: Install, { step }: JobDocument): ReadonlySet<string> {
  return new Set(step === null ? [] : Object.keys(stepOf(install, step).fields))
}

/** What stopped it and no row tells. */
function unsaid({ id, state, problem, findings, step, title }: JobDocument): readonly Finding[] {
  const told = findings.some(({ verdict }) => verdict === 'fail' || verdict === 'warn')
  if (state !== 'failed' || problem === null || told) return []
  const { detail, cure } = problem
  // The rest of it are lines of the log, which stand with their phase.
  const [say = detail] = detail.split('\n')
  return [{ id: `${step ?? id}.apply`, title, verdict: 'fail', say, ...(cure === undefined ? {} : { cure }), ms: 0 }]
}
