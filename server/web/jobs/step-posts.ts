/** Test and Next of a step: what can be refused as it stands is refused at once, everything else is a job. */
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { sameText } from '../../../lib/service/same-text.ts'
import { beginCheck, beginSubmit } from '../../install/jobs/begin.ts'
import { UnderWay } from '../../install/jobs/cancelled.ts'
import type { JobDocument } from '../../install/jobs/job.ts'
import { continueByScript, isClean, refusalOf } from '../../install/refusal.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import { readPasted } from '../../steps/kms/pasted.ts'
import type { StepId } from '../../steps/step.ts'
import { answerFormOf, type PostedStep, postedStep } from '../negotiation.ts'
import { answerBegun } from './begun-job.ts'
import { jobAddress } from './job-answer.ts'
import { holderOf, jobDesk, type ShownOnce } from './job-desk.ts'
import { showJob } from './job-page.ts'
import { answerRefused } from './refused.ts'
import { type SetupGround, withoutSecrets } from './setup-ground.ts'

interface StepParams {
  readonly Params: { readonly id: string }
}

export function stepPosts(app: FastifyInstance, ground: SetupGround): void {
  const { install, openStep, render } = ground

  app.post<StepParams>('/setup/steps/:id/check', async (request, reply) => {
    const { step, open } = await openStep(request.params)
    if (!open) throw outOfOrder(step)
    const posted = postedStep(request.body)
    const pasted = posted.pasted === null ? undefined : readPasted(posted.pasted)
    const typed = withoutSecrets(step, { ...posted.answers, ...posted.fill, ...pasted?.fill })
    if (pasted !== undefined) return render(request, reply, step, { typed, pasted })
    if (posted.fill !== null || posted.rescan) return render(request, reply, step, { typed, rescan: posted.rescan })
    const admitted = await install.admit(step.id, posted.answers, { skip: posted.skip })
    const wrong = { ...admitted, ...straysIn(request, step, posted) }
    if (Object.keys(wrong).length > 0) return refuseShape(request, reply, step, posted, wrong)
    const job = beginCheck(install, step.id, posted.answers, posted.skip, { actor: actorOf(request) })
    remember(request, job.id, step, posted, [])
    return answerBegun(install, request, reply, job, {
      json: (outcome) => {
        const { findings } = outcome
        if (isClean(outcome)) return { ok: true, findings }
        return answerRefused(request, reply, refusalOf(outcome, continueByScript), findings)
      },
      page: (ended) => showJob(ground, request, reply, ended, true)
    })
  })

  app.post<StepParams>('/setup/steps/:id', async (request, reply) => {
    const { step, open } = await openStep(request.params)
    if (!open) throw outOfOrder(step)
    const posted = postedStep(request.body)
    // Before its revision is looked at: what works at the step has answered it already.
    const other = install.jobs.running()
    if (other !== null && isPressedAgain(request, other, step, posted)) return reply.redirect(jobAddress(other.id), 303)
    if (other !== null) throw new UnderWay(other)
    const options = submitOptions(posted)
    const admitted = await install.admit(step.id, posted.answers, options)
    const wrong = { ...admitted, ...straysIn(request, step, posted) }
    if (Object.keys(wrong).length > 0) return refuseShape(request, reply, step, posted, wrong)
    const once: ShownOnce[number][] = []
    const job = beginSubmit(install, step.id, posted.answers, options, {
      actor: actorOf(request),
      showOnce: async (_step, values) => void once.push(...values),
      finished: ground.finished
    })
    remember(request, job.id, step, posted, once)
    return answerBegun(install, request, reply, job, {
      json: (outcome) => {
        const { findings } = outcome
        if (!outcome.ok) {
          return answerRefused(request, reply, outcome.error ?? refusalOf(outcome, continueByScript), findings)
        }
        reply.code(303).header('location', placeAfter(outcome.next))
        return { ok: true, next: outcome.next, findings, showOnce: once.splice(0) }
      },
      page: (ended) => showJob(ground, request, reply, ended, true)
    })
  })

  /** A browser without scripts sends what is pressed twice twice: the second is shown what the first began. */
  const isPressedAgain = (
    request: FastifyRequest,
    { id, kind, step: at }: JobDocument,
    step: DefinedStep,
    posted: PostedStep
  ) => {
    const first = jobDesk(install).find(id)
    return (
      answerFormOf(request) === 'html' &&
      kind === 'submit' &&
      at === step.id &&
      first !== undefined &&
      sameText(first.holder, holderOf(request, ground.tls)) &&
      isDeepStrictEqual(first.typed, withoutSecrets(step, posted.answers))
    )
  }

  const placeAfter = (next: StepId) => (install.finishedAt() === null ? `/setup/steps/${next}` : '/')

  const remember = (
    request: FastifyRequest,
    id: string,
    step: DefinedStep,
    { answers, continueAnyway }: PostedStep,
    once: ShownOnce[number][]
  ) => {
    const typed = withoutSecrets(step, answers)
    jobDesk(install).remember(id, { holder: holderOf(request, ground.tls), typed, continueAnyway, once })
  }

  const refuseShape = (
    request: FastifyRequest,
    reply: FastifyReply,
    step: DefinedStep,
    posted: PostedStep,
    fields: Readonly<Record<string, string>>
  ) => {
    const error = refusalOf({ fields, findings: [] }, continueByScript)
    if (answerFormOf(request) === 'json') return answerRefused(request, reply, error, [])
    const { answers, continueAnyway } = posted
    return render(request, reply.code(422), step, {
      typed: withoutSecrets(step, answers),
      fields,
      findings: [],
      continueAnyway
    })
  }
}

/** A form posts what it hides, and means nothing by it; JSON is refused as an answers file is. */
function straysIn(request: FastifyRequest, step: DefinedStep, { answers }: PostedStep) {
  return (request.headers['content-type'] ?? '').includes('json') ? step.strays(answers) : {}
}

export function actorOf(request: FastifyRequest): string {
  return answerFormOf(request) === 'json' ? 'script' : 'browser'
}

function submitOptions(posted: PostedStep) {
  return {
    ...(posted.revision === undefined ? {} : { revision: posted.revision }),
    continueAnyway: posted.continueAnyway,
    skip: posted.skip
  }
}

export function outOfOrder(step: DefinedStep): AppError {
  return new AppError('out-of-order', `${step.title} comes later: the steps before it are not done.`, {
    cure: 'GET /setup/progress tells which step is next.'
  })
}
