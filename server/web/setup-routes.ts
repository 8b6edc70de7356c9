/**
 * The eleven steps over HTTP: one handler a verb serves the form and the scripted POST. Registered only while setup is
 * open; when it is finished this plugin is not there.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { readHsmProposal } from '../../lib/luna-client/proposal.ts'
import { problemOf, problemTable } from '../../lib/service/problems.ts'
import type { CheckOutcome, Install } from '../install/install.ts'
import { beginCheck, beginSubmit } from '../install/jobs/begin.ts'
import type { JobEvent } from '../install/jobs/job.ts'
import type { StartedJob } from '../install/jobs/jobs.ts'
import { currentStep, isOpen } from '../install/progress.ts'
import { type Outcome, stepOf, type Watcher } from '../install/submit.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { readPasted } from '../steps/kms/pasted.ts'
import { type ApplyResult, type StepId, stepIds } from '../steps/step.ts'
import type { Access } from './access.ts'
import { honourIdempotencyKeys } from './api/idempotency.ts'
import { planRoutes } from './api/plan-routes.ts'
import { changePasswordRoutes } from './change-password-routes.ts'
import { type Caller, callerOf, neverStore, refuseForgery, refuseReadOnly } from './guard.ts'
import { answerFormOf, type PostedStep, postedStep, prefersPage } from './negotiation.ts'
import { type PageState, stepPage } from './step-page.ts'
import type { StreamLine } from './view-model.ts'

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
  /** What the page after a step shows once, by CSRF token of the session. */
  const showOnce = new Map<string, ApplyResult['showOnce']>()

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
    const { csrf, scope } = callerIn(request)
    if (request.method === 'HEAD' || scope === 'read') return undefined
    const once = showOnce.get(csrf) ?? install.takeShowOnce()
    showOnce.delete(csrf)
    return once
  }
  const openStep = async (params: { readonly id: string }) => {
    const id = stepIds.find((known) => known === params.id)
    if (id === undefined) throw new AppError('not-found', `There is no step named ${params.id.slice(0, 40)}.`)
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
    const { id, title, heading, intro, fields, checkIds, makesStale, secretsBoundTo, keepsSecretsAsTyped } = step
    const about = { id, title, heading, intro, fields, checkIds, makesStale, secretsBoundTo, keepsSecretsAsTyped }
    return { ...about, state, revision: stored?.revision ?? 0, values: stored?.values ?? {}, secretsKept: kept }
  }

  // Where the address bar stands after Test without scripts: a reload from there is a visit.
  app.get<StepParams>('/setup/steps/:id/check', async (request, reply) => {
    const { step } = await openStep(request.params)
    return reply.redirect(`/setup/steps/${step.id}`, 303)
  })

  app.post<StepParams>('/setup/steps/:id/check', async (request, reply) => {
    const { step, open } = await openStep(request.params)
    if (!open) throw outOfOrder(step)
    const posted = postedStep(request.body)
    const pasted = posted.pasted === null ? undefined : readPasted(posted.pasted)
    const typed = withoutSecrets(step, { ...posted.answers, ...posted.fill, ...pasted?.fill })
    if (pasted !== undefined) return render(request, reply, step, { typed, pasted })
    if (posted.fill !== null || posted.rescan) return render(request, reply, step, { typed, rescan: posted.rescan })
    const run = (watch?: Watcher) => {
      const asker = { actor: answerFormOf(request) === 'json' ? 'script' : 'browser' }
      return followed(install, beginCheck(install, step.id, posted.answers, posted.skip, asker), watch)
    }
    const page = (outcome: CheckOutcome): PageState => ({
      typed,
      fields: outcome.fields,
      findings: outcome.findings,
      continueAnyway: posted.continueAnyway
    })
    const form = answerFormOf(request)
    if (form === 'stream') {
      return stream(request, reply, run, async (outcome) => pageLine(request, step, page(outcome)))
    }
    const outcome = await run()
    const ok = isClean(outcome)
    if (form === 'json') {
      if (ok) return { ok, findings: outcome.findings }
      return problem(request, reply, notAccepted(outcome), outcome.findings)
    }
    return render(request, reply.code(ok ? 200 : 422), step, page(outcome))
  })

  app.post<StepParams>('/setup/steps/:id', async (request, reply) => {
    const { step, open } = await openStep(request.params)
    if (!open) throw outOfOrder(step)
    const posted = postedStep(request.body)
    const { csrf } = callerIn(request)
    const form = answerFormOf(request)
    const run = (watch?: Watcher) => {
      const asker = { actor: form === 'json' ? 'script' : 'browser' }
      const job = beginSubmit(install, step.id, posted.answers, submitOptions(posted), asker)
      return followed(install, job, watch)
    }
    const settle = async (outcome: Outcome) => {
      if (!outcome.ok) return
      // JSON has it in the answer itself: kept for a page as well, it would be shown twice.
      if (form !== 'json' && outcome.result.showOnce !== undefined) showOnce.set(csrf, outcome.result.showOnce)
      if (install.finishedAt() !== null) await options.finished()
    }
    const page = (outcome: Outcome & { ok: false }): PageState => ({
      typed: withoutSecrets(step, posted.answers),
      fields: outcome.fields,
      findings: outcome.findings,
      continueAnyway: posted.continueAnyway
    })
    if (form === 'stream') {
      return stream(request, reply, run, async (outcome) => {
        await settle(outcome)
        if (outcome.ok) return { type: 'done', location: placeAfter(outcome.next) }
        return pageLine(request, step, page(outcome))
      })
    }
    const outcome = await run()
    await settle(outcome)
    if (outcome.ok) {
      const { next, findings, result } = outcome
      if (form === 'html') return reply.redirect(placeAfter(next), 303)
      reply.code(303).header('location', placeAfter(next))
      return { ok: true, next, findings, showOnce: result.showOnce ?? [] }
    }
    if (form === 'json') return problem(request, reply, outcome.error ?? notAccepted(outcome), outcome.findings)
    const status = outcome.error === undefined ? 422 : problemTable[outcome.error.code].status
    return render(request, reply.code(status), step, page(outcome))
  })

  const placeAfter = (next: StepId) => (install.finishedAt() === null ? `/setup/steps/${next}` : '/')

  const pageLine = async (request: FastifyRequest, step: DefinedStep, state: PageState): Promise<StreamLine> => {
    const { csrf } = callerIn(request)
    const model = await stepPage(install, step, await suggestionsFor(step.id), csrf, state)
    return { type: 'page', html: await app.view(`/steps/${step.id}.eta`, model) }
  }

  changePasswordRoutes(app, { install, render, pageLine })
  planRoutes(app, options)
}

function submitOptions(posted: PostedStep) {
  return {
    ...(posted.revision === undefined ? {} : { revision: posted.revision }),
    continueAnyway: posted.continueAnyway,
    skip: posted.skip
  }
}

/** What a job comes to; what happens until then is told. */
async function followed<T>(install: Install, { id, result }: StartedJob<T>, watch: Watcher | undefined): Promise<T> {
  const job = watch === undefined ? null : await install.jobs.find(id)
  if (job === null) return result
  let last = 0
  const tellOne = (event: JobEvent) => {
    last = event.n
    if (event.type === 'finding') watch?.finding?.(event.finding)
    if (event.type === 'phase') watch?.phase?.(event.title)
    if (event.type === 'waiting' && event.what !== null)
      watch?.waiting?.(event.id, event.what, Date.now() - Date.parse(event.since))
  }
  const tell = () => job.events.after(last).forEach(tellOne)
  tell()
  const stop = job.events.subscribe(tell)
  return result.finally(stop)
}

/** A line of JSON for each thing that happens, as it happens (application/x-ndjson). */
async function stream<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  run: (watch: Watcher) => Promise<T>,
  end: (outcome: T) => Promise<StreamLine>
): Promise<FastifyReply> {
  reply.hijack()
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) reply.raw.setHeader(name, value)
  reply.raw.setHeader('content-type', 'application/x-ndjson; charset=utf-8')
  const write = (line: StreamLine) => reply.raw.write(`${JSON.stringify(line)}\n`)
  try {
    const outcome = await run({
      finding: (finding) => write({ type: 'finding', finding }),
      waiting: (id, what, ms) => write({ type: 'waiting', id, what, ms }),
      phase: (text) => write({ type: 'phase', text })
    })
    write(await end(outcome))
  } catch (thrown) {
    const { title, detail, cure } = problemOf(thrown, request.id)
    request.log.warn({ err: thrown }, title)
    write({ type: 'problem', text: [detail, cure].filter(Boolean).join(' ') })
  }
  reply.raw.end()
  return reply
}

function problem(request: FastifyRequest, reply: FastifyReply, error: AppError, findings: readonly unknown[]) {
  const document = problemOf(error, request.id)
  return reply
    .code(document.status)
    .type('application/problem+json')
    .send({ ...document, findings })
}

function notAccepted({ fields, findings }: CheckOutcome): AppError {
  const bad = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn')
  if (bad.length === 0) return new AppError('invalid-input', Object.values(fields).join(' '), { fields })
  const cure = bad.find((finding) => finding.cure !== undefined)?.cure
  const onlyWarnings = bad.every(({ verdict }) => verdict === 'warn')
  return new AppError('check-failed', bad.map(({ say }) => say).join(' '), {
    fields,
    ...(onlyWarnings
      ? { cure: `${cure ?? ''} To go on all the same, send "_continue": "yes".`.trim() }
      : cure === undefined
        ? {}
        : { cure })
  })
}

function isClean({ fields, findings }: CheckOutcome): boolean {
  return Object.keys(fields).length === 0 && !findings.some(({ verdict }) => verdict === 'fail')
}

function outOfOrder(step: DefinedStep): AppError {
  return new AppError('out-of-order', `${step.title} comes later: the steps before it are not done.`, {
    cure: 'GET /setup/progress tells which step is next.'
  })
}

/** A secret that came in never goes out again. */
function withoutSecrets(step: DefinedStep, answers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => step.fields[name]?.secret !== true))
}
