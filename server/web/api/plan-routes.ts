/**
 * Plan and apply over HTTP: the same planner, the same hash and the same way in as `keyscaler plan` and `keyscaler apply`.
 * GET /setup/plan is about the answers that are kept, POST /setup/plan about those that are sent; POST /setup/apply does
 * what was agreed on, or says with 409 what has moved since.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { problemOf } from '../../../lib/service/problems.ts'
import type { Install } from '../../install/install.ts'
import { beginApply } from '../../install/jobs/begin.ts'
import { UnderWay } from '../../install/jobs/cancelled.ts'
import { movedBetween, type Plan } from '../../install/plan.ts'
import type { StepId } from '../../steps/step.ts'
import { answerBegun } from '../jobs/begun-job.ts'
import { holderOf, jobDesk, type ShownOnce } from '../jobs/job-desk.ts'
import { showJob } from '../jobs/job-page.ts'
import type { SetupGround } from '../jobs/setup-ground.ts'
import { prefersPage } from '../negotiation.ts'
import { product } from '../product.ts'
import type { PlanPage } from '../view-model.ts'
import { applyFrom, type Wanted, wantedFrom } from './wanted-answers.ts'

export interface Applied {
  readonly changed: boolean
  /** Hash of the plan that was done. */
  readonly plan: string
  /** Steps that were submitted. */
  readonly steps: readonly StepId[]
  readonly showOnce: ShownOnce
  /** Setup is finished, and locked. */
  readonly finished: boolean
}

/** How many plans are remembered, so that a refused one can be told apart from what is now. */
const rememberedPlans = 32

export function planRoutes(app: FastifyInstance, ground: SetupGround): void {
  const { install, tls } = ground
  const plans = new Map<string, Plan>()

  const planned = async (wanted: Wanted['steps'], unanswered: boolean) => {
    const plan = await install.plan(wanted, { unanswered })
    plans.delete(plan.hash)
    plans.set(plan.hash, plan)
    for (const hash of plans.keys()) if (plans.size > rememberedPlans) plans.delete(hash)
    return plan
  }
  const answerPlan = (request: FastifyRequest, reply: FastifyReply, plan: Plan) => {
    if (!prefersPage(request)) return plan
    const page: PlanPage = { product, plan, steps: install.steps.map(({ id, title }) => ({ id, title })) }
    return reply.viewAsync('/plan.eta', page)
  }

  app.get('/setup/plan', async (request, reply) => answerPlan(request, reply, await planned({}, true)))
  app.post('/setup/plan', async (request, reply) => {
    const { steps } = wantedFrom(request.body, install.steps)
    return answerPlan(request, reply, await planned(steps, false))
  })

  app.post('/setup/apply', async (request, reply) => {
    const order = applyFrom(request.body, install.steps)
    const other = install.jobs.running()
    if (other !== null) throw new UnderWay(other)
    const now = await planned(order.steps, false)
    if (now.hash !== order.plan) return answerMoved(request, reply, plans.get(order.plan) ?? null, now)
    // Nothing to wait for.
    if (!now.changed) return answerApplied(request, reply, appliedOf(install, now, [], []))
    const once: ShownOnce[number][] = []
    const job = beginApply(install, order, now.steps, {
      actor: 'script',
      showOnce: async (_step, values) => void once.push(...values),
      finished: ground.finished
    })
    jobDesk(install).remember(job.id, { holder: holderOf(request, tls), typed: null, continueAnyway: false, once })
    return answerBegun(install, request, reply, job, {
      json: (outcome) => {
        const applied = appliedOf(install, now, outcome.done, once.splice(0))
        const { error, stoppedAt } = outcome
        return error === undefined ? applied : answerStopped(request, reply, applied, error, stoppedAt)
      },
      page: (ended) => showJob(ground, request, reply, ended, true)
    })
  })
}

function appliedOf(install: Install, plan: Plan, done: readonly StepId[], showOnce: ShownOnce): Applied {
  const finished = install.finishedAt() !== null
  return { changed: done.length > 0, plan: plan.hash, steps: done, showOnce, finished }
}

function answerApplied(request: FastifyRequest, reply: FastifyReply, applied: Applied) {
  return prefersPage(request) ? reply.redirect('/', 303) : applied
}

function answerMoved(request: FastifyRequest, reply: FastifyReply, agreed: Plan | null, now: Plan) {
  const moved = agreed === null ? null : movedBetween(agreed, now)
  const words = (moved ?? []).map(({ was, is }) => {
    const { kind, name, action, why } = is ?? was ?? { kind: '', name: '', action: 'gone', why: '' }
    return `${kind} ${name}: ${is === null ? 'gone' : `${action} (${why})`}.`
  })
  const said = 'The plan is not the one that was agreed on: something has changed since.'
  const error = new AppError('conflict', [said, ...words].join(' '), {
    cure: 'Look at the plan that comes with this answer; to go on with it, send its hash.'
  })
  return answerProblem(request, reply, error, { ...(moved === null ? {} : { moved }), plan: now })
}

/** What is wrong with answers, under its place in the order. */
function answerStopped(
  request: FastifyRequest,
  reply: FastifyReply,
  { steps: done, showOnce }: Applied,
  { code, message, cure, fields = {}, causes = {}, cause }: AppError,
  stoppedAt: StepId | null
) {
  const placed = <T>(named: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(named).map(([name, said]) => [`steps/${stoppedAt}/${name}`, said]))
  const error = new AppError(code, message, {
    ...(Object.keys(fields).length === 0 ? {} : { fields: placed(fields), causes: placed(causes) }),
    ...(cure === undefined ? {} : { cure }),
    cause
  })
  return answerProblem(request, reply, error, { stoppedAt, done, showOnce })
}

/** A page says the same by its words (wizard-app.ts). */
function answerProblem(request: FastifyRequest, reply: FastifyReply, error: AppError, more: object) {
  if (prefersPage(request)) throw error
  const problem = problemOf(error, request.id)
  if (problem.status >= 500) request.log.error({ err: error }, problem.title)
  if (problem.status === 503) reply.header('retry-after', '2')
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send({ ...problem, ...more })
}
