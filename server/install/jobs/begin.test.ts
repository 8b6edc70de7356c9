/** What is asked of an install, as jobs: cancelled, gone on with, and what the next start makes of them. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError } from '../../../lib/errors/app-error.ts'
import { processTarget } from '../../deploy/targets/process.ts'
import type { DefinedStep } from '../../steps/define-step.ts'
import { type Install, openInstall } from '../install.ts'
import { beginApply, beginCheck, beginResume, beginSubmit, interruptedJob, retryJob } from './begin.ts'
import { stepsOf, twoEffects } from './testing.ts'

async function ground(context: TestContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'ks-begin-'))
  const target = processTarget({ stateDir, lifelineFd: null })
  context.after(async () => {
    await target.stop()
    await rm(stateDir, { recursive: true, maxRetries: 10 })
  })
  return (steps: readonly DefinedStep[]) => openInstall({ stateDir, steps, target })
}

const asker = { actor: 'script' }
const plainly = { continueAnyway: false }
const documentOf = async (install: Install, id: string) =>
  (await install.jobs.find(id))?.document() ?? assert.fail(`no job ${id}`)

test('cancelled between two effects it says what stands, is left alone by the next start, and Retry finishes it', async (context) => {
  const open = await ground(context)
  const { work, made, between, goOn } = twoEffects()
  const steps = stepsOf({ welcome: work })
  const install = await open(steps)
  const { id, result } = beginSubmit(install, 'welcome', { answer: 'yes' }, plainly, asker)
  await between
  await install.jobs.cancel(id)
  goOn()
  const outcome = await result
  assert.ok(!outcome.ok && outcome.error?.reason === 'cancelled')
  const job = await documentOf(install, id)
  assert.deepEqual([job.state, job.retryable, job.phases.at(-1)?.state], ['cancelled', true, 'cancelled'])
  assert.deepEqual(job.stands, [{ kind: 'topic', name: 'first', state: 'done' }])
  assert.deepEqual(await install.pending(), { step: 'welcome', held: true })
  await install.jobs.written()

  const later = await open(steps)
  assert.deepEqual(await later.pending(), { step: 'welcome', held: true }, 'the mark is kept')
  const retried = await retryJob(later, id, asker)
  assert.equal((await retried.result).error, undefined)
  const finished = await documentOf(later, retried.id)
  assert.deepEqual(
    [finished.kind, finished.resumes, finished.state, finished.next],
    ['resume', id, 'done', 'memcached']
  )
  assert.deepEqual(made, ['first', 'first', 'second'])
  assert.equal(await later.pending(), null)
  await assert.rejects(retryJob(later, id, asker), /Nothing of this job/)
})

test('cancelled while the checks run, nothing is saved and nothing is left to go on with', async (context) => {
  const open = await ground(context)
  const checking = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const install = await open(
    stepsOf({}, async () => {
      checking.resolve()
      await goOn.promise
    })
  )
  const { id, result } = beginSubmit(install, 'welcome', { answer: 'yes' }, plainly, asker)
  const { id: test, result: tested } = beginCheck(install, 'welcome', { answer: 'yes' }, [], asker)
  await checking.promise
  for (const job of [id, test]) assert.equal((await install.jobs.cancel(job)).state, 'cancelling')
  goOn.resolve()
  for (const ended of [result, tested]) await assert.rejects(ended, /cancelled/)
  const job = await documentOf(install, id)
  assert.deepEqual([job.state, job.retryable, job.stands, job.findings.length], ['cancelled', false, [], 1])
  assert.equal((await documentOf(install, test)).state, 'cancelled')
  assert.equal((await install.answers()).size, 0)
})

test('answers that were refused cannot be retried: they must be sent again', async (context) => {
  const install = await (await ground(context))(stepsOf({}))
  assert.deepEqual(await install.admit('welcome', { answer: '' }), { answer: 'Answer something.' })
  const { id, result } = beginSubmit(install, 'welcome', { answer: 'wrong' }, plainly, asker)
  await result
  const { state, problem, findings, retryable } = await documentOf(install, id)
  assert.deepEqual([state, problem?.detail, findings.length, retryable], ['failed', 'It is wrong.', 1, false])
  await assert.rejects(retryJob(install, id, asker), ({ code }: { code: string }) => code === 'conflict')
})

test('an apply is cancelled between two steps, and between two effects; Retry goes on with what was kept', async (context) => {
  const open = await ground(context)
  const { work, made, between, goOn } = twoEffects()
  const steps = stepsOf({ memcached: work })
  const install = await open(steps)
  const file = {
    steps: { welcome: { answer: 'a' }, memcached: { answer: 'b' }, kafka: { answer: 'c' } },
    continueAnyway: false
  }
  const { id, result } = beginApply(install, file, ['welcome', 'memcached', 'kafka'], asker)
  await between
  assert.deepEqual(
    (await documentOf(install, id)).steps.map(({ state }) => state),
    ['done', 'running', 'waiting']
  )
  await install.jobs.cancel(id)
  goOn()
  const { done, stoppedAt, error, rest } = await result
  assert.deepEqual([done, stoppedAt, error?.reason, rest.steps], [['welcome'], 'memcached', 'cancelled', ['memcached']])
  assert.match(
    error?.cure ?? '',
    /^Retry does Step memcached\. Not Step kafka: what was asked for there is not kept: apply it/
  )
  assert.deepEqual(
    (await documentOf(install, id)).steps.map(({ state }) => state),
    ['done', 'failed', 'waiting']
  )
  const retried = await retryJob(install, id, asker)
  // Of the last step nothing was kept: its answers must be sent again.
  assert.deepEqual((await retried.result).done, ['memcached'])
  const job = await documentOf(install, retried.id)
  assert.deepEqual([job.state, job.next, job.resumes], ['done', 'kafka', id])
  assert.match(
    job.findings.at(-1)?.say ?? '',
    /^Not done: Step kafka\. What was asked for there is not kept: apply it again/
  )
  assert.deepEqual(made, ['first', 'first', 'second'])
})

/** The first step works until it is told to go on, so that a cancel is seen after it. */
function slowFirst() {
  const working = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const welcome = async () => {
    working.resolve()
    await goOn.promise
    return {}
  }
  return { working: working.promise, goOn: goOn.resolve, welcome }
}

test('cancelled after a step of which nothing was left, Retry does the steps after it with the answers that are kept', async (context) => {
  const open = await ground(context)
  const first = await open(stepsOf({}))
  const steps = { welcome: { answer: 'a' }, memcached: { answer: 'b' }, kafka: { answer: 'c' } }
  const ids = ['welcome', 'memcached', 'kafka'] as const
  await beginApply(first, { steps, continueAnyway: false }, ids, asker).result

  // Asked for other answers: what is kept of memcached and kafka is what is asked for now, too.
  const { working, goOn, welcome } = slowFirst()
  const again = await open(stepsOf({ welcome }))
  const file = { steps: { ...steps, welcome: { answer: 'other' } }, continueAnyway: false }
  const { id, result } = beginApply(again, file, ids, asker)
  await working
  await again.jobs.cancel(id)
  goOn()
  const { error, rest } = await result
  assert.deepEqual([error?.reason, rest.steps], ['cancelled', ['memcached', 'kafka']])
  assert.equal(error?.cure, 'Retry goes on with Step memcached, Step kafka.')
  const job = await documentOf(again, id)
  assert.deepEqual([job.state, job.retryable, job.problem?.cure], ['cancelled', true, error?.cure])
  assert.deepEqual(
    job.steps.map(({ state }) => state),
    ['done', 'waiting', 'waiting']
  )
  await again.jobs.written()

  // After a restart, too.
  const later = await open(stepsOf({}))
  const retried = await retryJob(later, id, asker)
  assert.deepEqual((await retried.result).done, ['memcached', 'kafka'])
  assert.equal((await documentOf(later, retried.id)).state, 'done')
})

test('an answer that is not the kept one is not done again in its place: the end says which steps are left', async (context) => {
  const open = await ground(context)
  const first = await open(stepsOf({}))
  const steps = { welcome: { answer: 'a' }, memcached: { answer: 'b' } }
  await beginApply(first, { steps, continueAnyway: false }, ['welcome', 'memcached'], asker).result

  const { working, goOn, welcome } = slowFirst()
  const again = await open(stepsOf({ welcome }))
  const file = { steps: { welcome: { answer: 'other' }, memcached: { answer: 'other' } }, continueAnyway: false }
  const { id, result } = beginApply(again, file, ['welcome', 'memcached'], asker)
  await working
  await again.jobs.cancel(id)
  goOn()
  const { error } = await result
  assert.match(error?.cure ?? '', /^Not done: Step memcached; what was asked for there is not kept: apply it again/)
  assert.equal((await documentOf(again, id)).retryable, false)
  await assert.rejects(retryJob(again, id, asker), ({ code, cure }: { code: string; cure: string }) => {
    assert.equal(code, 'conflict')
    return cure === error?.cure
  })
})

test('a step whose checks alone were run when it was cancelled is not begun; one that a check refused has failed', async (context) => {
  const open = await ground(context)
  const checking = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const install = await open(
    stepsOf({}, async (step) => {
      if (step !== 'memcached') return
      checking.resolve()
      await goOn.promise
    })
  )
  const ids = ['welcome', 'memcached', 'kafka'] as const
  const steps = { welcome: { answer: 'a' }, memcached: { answer: 'b' }, kafka: { answer: 'wrong' } }
  const cut = beginApply(install, { steps, continueAnyway: false }, ids, asker)
  await checking.promise
  await install.jobs.cancel(cut.id)
  goOn.resolve()
  await cut.result
  const statesOf = async (id: string) => (await documentOf(install, id)).steps.map(({ state }) => state)
  assert.deepEqual(await statesOf(cut.id), ['done', 'waiting', 'waiting'])
  const refused = beginApply(install, { steps, continueAnyway: false }, ids, asker)
  await refused.result
  assert.deepEqual(await statesOf(refused.id), ['done', 'done', 'failed'])
})

test('Retry of a failed step goes on to the end of the apply where the steps after it need no answers', async (context) => {
  const open = await ground(context)
  const done: string[] = []
  let broken = true
  const memcached = async () => {
    if (broken) throw new AppError('deploy-failed', 'It did not start.', { cure: 'Look at its log.' })
    done.push('memcached')
    return {}
  }
  const kafka = async () => {
    done.push('kafka')
    return {}
  }
  const install = await open(stepsOf({ memcached, kafka }, undefined, ['kafka']))
  const steps = { welcome: { answer: 'a' }, memcached: { answer: 'b' }, kafka: {} }
  const { id, result } = beginApply(install, { steps, continueAnyway: true }, ['welcome', 'memcached', 'kafka'], asker)
  const { error, rest } = await result
  assert.deepEqual([error?.cure, rest.steps], ['Look at its log.', ['memcached', 'kafka']])
  broken = false
  const retried = await retryJob(install, id, asker)
  assert.deepEqual((await retried.result).done, ['memcached', 'kafka'])
  assert.deepEqual(done, ['memcached', 'kafka'])
  const job = await documentOf(install, retried.id)
  assert.deepEqual(
    [job.state, job.steps.every(({ state }) => state === 'done'), job.findings.length],
    ['done', true, 1]
  )
})

test('Retry takes warnings as the apply did', async (context) => {
  const open = await ground(context)
  const { working, goOn, welcome } = slowFirst()
  const install = await open(stepsOf({ welcome }, undefined, ['memcached']))
  const { id, result } = beginApply(
    install,
    { steps: { welcome: { answer: 'a' } }, continueAnyway: true },
    ['welcome', 'memcached'],
    asker
  )
  await working
  await install.jobs.cancel(id)
  goOn()
  await result
  assert.equal((await (await retryJob(install, id, asker)).result).error, undefined)
})

test('what a kill cut off is taken up as a job that names the one before it', async (context) => {
  const open = await ground(context)
  const never = twoEffects()
  const steps = stepsOf({ welcome: never.work })
  const killed = await open(steps)
  const { id } = beginSubmit(killed, 'welcome', { answer: 'yes' }, plainly, asker)
  await never.between
  await killed.jobs.written()

  const made: string[] = []
  const later = await open(
    stepsOf({ welcome: async (apply) => apply.effect('topic', 'all', async () => void made.push('all')) })
  )
  const before = await interruptedJob(later)
  assert.deepEqual(
    [before?.id, before?.state, before?.stands],
    [id, 'interrupted', [{ kind: 'topic', name: 'first', state: 'done' }]]
  )
  const { id: again, result } = beginResume(later, 'welcome', before, { actor: 'keyscaler' })
  assert.throws(
    () => beginSubmit(later, 'welcome', { answer: 'yes' }, plainly, asker),
    /^AppError: The rest of Step welcome is under way since .* taken up when keyscaler was started\.$/
  )
  assert.equal((await result).error, undefined)
  assert.equal((await documentOf(later, again)).resumes, id)
  assert.deepEqual(made, ['all'])
})
