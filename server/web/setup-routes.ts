/**
 * Setup over HTTP: who is let in, where it stands, and the pages of its steps; one handler serves the form and the scripted
 * request. Registered only while setup is open; when it is finished this plugin is not there.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { readHsmProposal } from '../../lib/luna-client/proposal.ts'
import type { Install } from '../install/install.ts'
import { currentStep, isOpen } from '../install/progress.ts'
import { stepOf } from '../install/submit.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { type ApplyResult, type StepId, stepIds } from '../steps/step.ts'
import type { Access } from './access.ts'
import { honourIdempotencyKeys } from './api/idempotency.ts'
import { planRoutes } from './api/plan-routes.ts'
import { changePasswordRoutes } from './change-password-routes.ts'
import { type Caller, callerOf, neverStore, refuseForgery, refuseReadOnly } from './guard.ts'
import { holderOf, jobDesk } from './jobs/job-desk.ts'
import { jobRoutes } from './jobs/job-routes.ts'
import type { SetupGround } from './jobs/setup-ground.ts'
import { stepPosts } from './jobs/step-posts.ts'
import { answerFormOf, prefersPage } from './negotiation.ts'
import { type PageState, stepPage } from './step-page.ts'

export interface SetupRoutesOptions {
  readonly install: Install
  readonly access: Access
  readonly tls: boolean
  /** First values for fields, by step (the sandbox's addresses); no secrets. */
  readonly suggestions: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>
  /** Called when the last step is done, before it is answered: the wizard puts the locked app in place of this one. */
  readonly finished: () => Promise<void>
}

interface StepParams {
  readonly Params: { readonly id: string }
}

export async function setupRoutes(app: FastifyInstance, options: SetupRoutesOptions): Promise<void> {
  const { install, access, tls } = options
  const callers = new WeakMap<FastifyRequest, Caller>()
  app.addHook('onRequest', neverStore)
  app.addHook('onRequest', async (request, reply) => {
    const caller = callerOf(request, access, tls)
    if (caller !== null) {
      refuseReadOnly(request, reply, caller)
      callers.set(request, caller)
      return
    }
    if (request.method === 'GET' && answerFormOf(request) === 'html') return reply.redirect('/setup/code', 303)
    reply.header('www-authenticate', 'Bearer realm="setup"')
    throw new AppError('unauthenticated', 'Setup needs its code first.', {
      cure: 'POST /setup/session with the one-time code, or keyscaler token create on the host; then send the token as "Authorization: Bearer …".'
    })
  })
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST') refuseForgery(request, callerIn(request))
  })
  honourIdempotencyKeys(app, install)

  const callerIn = (request: FastifyRequest): Caller => {
    const caller = callers.get(request)
    if (caller === undefined) throw new AppError('unauthenticated', 'Setup needs its code first.')
    return caller
  }
  /** For step 3 also what `keyscaler hsm import` has found. */
  const suggestionsFor = async (id: StepId) => ({
    ...(id === 'kms' ? await readHsmProposal(install.stateDir) : {}),
    ...options.suggestions[id]
  })
  const render = async (request: FastifyRequest, reply: FastifyReply, step: DefinedStep, state: PageState) => {
    const { csrf } = callerIn(request)
    const model = await stepPage(install, step, await suggestionsFor(step.id), csrf, state)
    return reply.viewAsync(`/steps/${step.id}.eta`, model)
  }
  /** Gone with the page that shows it; a HEAD shows nothing, and who may only read is shown nothing: they take nothing. */
  const takeShowOnce = (request: FastifyRequest): ApplyResult['showOnce'] => {
    if (request.method === 'HEAD' || callerIn(request).scope === 'read') return undefined
    return jobDesk(install).takeOnce(holderOf(request, tls)) ?? install.takeShowOnce()
  }
  const openStep = async (params: { readonly id: string }) => {
    const id = stepIds.find((known) => known === params.id)
    if (id === undefined) {
      throw new AppError('not-found', `There is no step named ${params.id.slice(0, 40)}.`, {
        cure: 'GET /setup/progress lists the steps.'
      })
    }
    const progress = await install.progress()
    return { step: stepOf(install, id), progress, open: isOpen(progress, id) }
  }

  app.get('/setup', async (_request, reply) =>
    reply.redirect(`/setup/steps/${currentStep(await install.progress()).id}`, 303)
  )

  app.get('/setup/progress', async (request, reply) => {
    if (prefersPage(request)) return reply.redirect('/setup', 303)
    const progress = await install.progress()
    return { install: install.id, next: currentStep(progress).id, steps: progress }
  })

  app.get<StepParams>('/setup/steps/:id', async (request, reply) => {
    const { step, progress, open } = await openStep(request.params)
    if (answerFormOf(request) === 'json') return stepDocument(step)
    if (!open) return reply.redirect(`/setup/steps/${currentStep(progress).id}`, 303)
    const once = takeShowOnce(request)
    return render(request, reply, step, once === undefined ? {} : { showOnce: once })
  })

  const stepDocument = async (step: DefinedStep) => {
    const stored = (await install.answers()).get(step.id)
    const state = (await install.progress()).find((row) => row.id === step.id)?.state
    const kept = Object.keys(stored?.secrets ?? {})
    const { id, title, heading, intro, fields, makesStale, secretsBoundTo, keepsSecretsAsTyped } = step
    const checkIds = await step.checkIds()
    const about = { id, title, heading, intro, fields, checkIds, makesStale, secretsBoundTo, keepsSecretsAsTyped }
    return { ...about, state, revision: stored?.revision ?? 0, values: stored?.values ?? {}, secretsKept: kept }
  }

  // Where the address bar stands after Test without scripts: a reload from there is a visit.
  app.get<StepParams>('/setup/steps/:id/check', async (request, reply) => {
    const { step } = await openStep(request.params)
    return reply.redirect(`/setup/steps/${step.id}`, 303)
  })

  const ground: SetupGround = { install, tls, finished: options.finished, callerIn, render, openStep }
  stepPosts(app, ground)
  jobRoutes(app, ground)
  changePasswordRoutes(app, ground)
  planRoutes(app, ground)
}
