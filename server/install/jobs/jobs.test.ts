/** The core of jobs by itself: what can be watched, what is kept of it, and what two of them do to each other. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Finding } from '../../checks/check.ts'
import { askedBy } from './cancelled.ts'
import type { JobDocument } from './job.ts'
import type { JobWatch } from './job-watch.ts'
import { type JobOrder, type Jobs, openJobs } from './jobs.ts'
import { keptJobs, openJournals } from './journal.ts'

const next: JobOrder = { kind: 'submit', step: 'kms', title: 'Next of KMS Deployment', actor: 'browser' }
const look: JobOrder = { kind: 'check', step: 'kms', title: 'Test of KMS Deployment', actor: 'script' }
const finding = (id: string): Finding => ({ id, title: id, verdict: 'pass', say: 'fine', ms: 1 })

async function ground(context: TestContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'ks-jobs-'))
  context.after(() => rm(stateDir, { recursive: true, maxRetries: 10 }))
  const failures: unknown[] = []
  const open = () => openJobs(openJournals(stateDir, (thrown) => failures.push(thrown)))
  return { stateDir, folder: join(stateDir, 'jobs'), failures, open }
}

/** A job that does what it is told, until it is told to end. */
function puppet(jobs: Jobs, order: JobOrder = next) {
  const end = Promise.withResolvers<AppError | undefined>()
  const given = Promise.withResolvers<JobWatch>()
  const { id, result } = jobs.start(
    order,
    (watch) => {
      given.resolve(watch)
      return end.promise
    },
    (error) => ({ error, next: 'memcached', resumable: error !== undefined })
  )
  return { id, result, watch: given.promise, end: end.resolve, fail: end.reject }
}

async function documentOf(jobs: Jobs, id: string): Promise<JobDocument> {
  return (await jobs.find(id))?.document() ?? assert.fail(`no job ${id}`)
}

test('a job is what happened in it: phases with their last lines, findings, and what is waited for', async (context) => {
  const jobs = (await ground(context)).open()
  const { id, watch: given, end, result } = puppet(jobs)
  const watch = await given
  watch.waiting('kms.login', 'C_Login', 1000)
  watch.waiting('kms.login', 'C_Login', 1500)
  const waiting = (await documentOf(jobs, id)).waiting
  assert.equal(waiting?.what, 'C_Login')
  assert.ok(Date.now() - Date.parse(waiting.since) >= 1000)
  watch.finding(finding('kms.login'))
  watch.waited('kms.login')
  watch.phase('KMS: starting')
  for (let line = 1; line <= 25; line++) watch.log(`line ${line}`)
  watch.phase('KMS: waiting until it is ready')
  const during = await documentOf(jobs, id)
  assert.deepEqual([during.state, during.waiting, during.endedAt], ['running', null, null])
  assert.deepEqual(
    during.phases.map(({ title, state, step }) => [title, state, step]),
    [
      ['KMS: starting', 'done', 'kms'],
      ['KMS: waiting until it is ready', 'running', 'kms']
    ]
  )
  assert.deepEqual([during.phases[0]?.log.length, during.phases[0]?.log.at(-1)], [20, 'line 25'])
  end(undefined)
  await result
  watch.log('too late')
  const after = await documentOf(jobs, id)
  assert.deepEqual([after.state, after.next, after.phases[1]?.state], ['done', 'memcached', 'done'])
  const { events } = (await jobs.find(id)) ?? assert.fail()
  const all = events.after(0)
  assert.deepEqual(
    all.map(({ n }) => n),
    all.map((_event, at) => at + 1)
  )
  // Told every half second, it is one event: what is waited for, and that it is over.
  assert.equal(all.filter(({ type }) => type === 'waiting').length, 2)
  assert.deepEqual(
    events.after(all.length - 1).map(({ type }) => type),
    ['end']
  )
})

test('a second working job is refused at once, with who and since when; checks run beside it', async (context) => {
  const jobs = (await ground(context)).open()
  const first = puppet(jobs)
  const startedAt = (await documentOf(jobs, first.id)).startedAt.slice(11, 19)
  assert.throws(
    () => puppet(jobs, { ...next, kind: 'apply', title: 'An apply' }),
    ({ code, message, cure }: AppError) =>
      code === 'conflict' &&
      message === `Next of KMS Deployment is under way since ${startedAt} UTC, asked for by the browser.` &&
      cure?.endsWith(`/setup/jobs/${first.id}`) === true
  )
  const beside = puppet(jobs, look)
  beside.end(undefined)
  await beside.result
  assert.equal(jobs.running()?.id, first.id)
  first.fail(new AppError('deploy-failed', 'The KMS ended while starting.'))
  await assert.rejects(first.result)
  const { state, problem } = await documentOf(jobs, first.id)
  assert.deepEqual(
    [state, problem?.type, problem?.instance],
    ['failed', '/problems/deploy-failed', `urn:job:${first.id}`]
  )
  puppet(jobs).end(undefined)
})

test('a cancel is seen at the next safe point, and once; what has ended cannot be cancelled', async (context) => {
  const jobs = (await ground(context)).open()
  const { id, watch: given, fail, result } = puppet(jobs)
  const watch = await given
  watch.effect('schema', 'ks', 'begun')
  watch.effect('schema', 'ks', 'done')
  watch.effect('service', 'kms', 'begun')
  assert.equal((await jobs.cancel(id)).state, 'cancelling')
  assert.equal((await jobs.cancel(id)).state, 'cancelling')
  assert.throws(
    () => watch.signal.throwIfAborted(),
    ({ reason }: AppError) => reason === 'cancelled'
  )
  fail(watch.signal.reason)
  await assert.rejects(result)
  const { state, stands, problem } = await documentOf(jobs, id)
  assert.deepEqual([state, problem?.status], ['cancelled', 409])
  assert.deepEqual(stands, [
    { kind: 'schema', name: 'ks', state: 'done' },
    { kind: 'service', name: 'kms', state: 'begun' }
  ])
  await assert.rejects(jobs.cancel(id), /has ended already/)
  await assert.rejects(jobs.cancel('20200101T000000000Z'), /no such job/)
})

test('whoever asked is named in words', () => {
  assert.deepEqual(['browser', 'script', 'answers file', 'keyscaler'].map(askedBy), [
    'asked for by the browser',
    'asked for by a script',
    'asked for by an answers file',
    'taken up when keyscaler was started'
  ])
})

test('one that is done before the cancel is seen is done', async (context) => {
  const jobs = (await ground(context)).open()
  const { id, end, result } = puppet(jobs)
  await jobs.cancel(id)
  end(undefined)
  await result
  assert.equal((await documentOf(jobs, id)).state, 'done')
})

test('the next process reads what was done, and what was interrupted, torn lines left out', async (context) => {
  const { open, folder } = await ground(context)
  const jobs = open()
  const done = puppet(jobs)
  ;(await done.watch).phase('KMS: starting')
  done.end(new AppError('deploy-failed', 'no'))
  await done.result
  const cut = puppet(jobs)
  ;(await cut.watch).phase('KMS: starting')
  ;(await cut.watch).log('half-way')
  await jobs.written()
  // As a kill leaves it.
  await appendFile(join(folder, `${cut.id}.ndjson`), '{"n":3,"at":"2026-11-29T12:00:0')
  assert.equal((await stat(join(folder, `${cut.id}.ndjson`))).mode & 0o777, 0o600)
  assert.equal((await stat(folder)).mode & 0o777, 0o700)
  const later = open()
  const same = await documentOf(later, done.id)
  assert.deepEqual(
    { ...same, retryable: true },
    await documentOf(jobs, done.id).then((it) => ({ ...it, retryable: true }))
  )
  const interrupted = await documentOf(later, cut.id)
  assert.deepEqual(
    [interrupted.state, interrupted.phases[0]?.state, interrupted.phases[0]?.log],
    ['interrupted', 'failed', ['half-way']]
  )
  assert.deepEqual(
    (await later.list()).map(({ id, state }) => [id, state]),
    [
      [cut.id, 'interrupted'],
      [done.id, 'failed']
    ]
  )
  assert.equal(later.running(), null)
  assert.equal(await later.find('../boot'), null)
  const { events } = (await later.find(cut.id)) ?? assert.fail()
  assert.deepEqual(
    events.after(1).map(({ type }) => type),
    ['log']
  )
})

test('only the newest working job can be retried, and only when answers were kept', async (context) => {
  const jobs = (await ground(context)).open()
  const first = puppet(jobs)
  first.end(new AppError('deploy-failed', 'no'))
  await first.result
  assert.equal((await documentOf(jobs, first.id)).retryable, true)
  const beside = puppet(jobs, look)
  beside.end(undefined)
  await beside.result
  assert.equal((await documentOf(jobs, first.id)).retryable, true, 'a check is no newer work')
  const second = puppet(jobs)
  assert.equal((await documentOf(jobs, first.id)).retryable, false)
  second.end(undefined)
  await second.result
  assert.equal((await documentOf(jobs, first.id)).retryable, false)
})

test('a journal that cannot be written costs the journal and never the job', async (context) => {
  const { open, folder, failures } = await ground(context)
  await writeFile(folder, 'no folder')
  const jobs = open()
  const { id, watch, end, result } = puppet(jobs)
  ;(await watch).phase('one')
  ;(await watch).phase('two')
  end(undefined)
  await result
  await jobs.written()
  assert.equal((await documentOf(jobs, id)).phases.length, 2)
  assert.ok(failures.length > 0 && failures.length <= 2, 'told, and not of every line')
})

test('a disk that was full for a while spoils no line that is written before or after', async (context) => {
  const { open, folder } = await ground(context)
  await writeFile(folder, '')
  const jobs = open()
  const { id, watch, end, result } = puppet(jobs)
  ;(await watch).phase('lost')
  await jobs.written()
  await rm(folder)
  await mkdir(folder)
  await writeFile(join(folder, `${id}.ndjson`), '{"id":"torn')
  ;(await watch).phase('kept')
  end(undefined)
  await result
  await jobs.written()
  const again = await documentOf(open(), id)
  assert.deepEqual([again.state, again.phases.map(({ title }) => title)], ['done', ['kept']])
})

test(`the last ${keptJobs} are kept, one that runs among them`, async (context) => {
  const { open, folder } = await ground(context)
  const jobs = open()
  const long = puppet(jobs)
  for (let count = 0; count < keptJobs + 5; count++) {
    const { end, result } = puppet(jobs, look)
    end(undefined)
    await result
    await jobs.written()
  }
  const names = await readdir(folder)
  assert.ok(names.length <= keptJobs + 1, `${names.length} journals`)
  assert.ok(names.includes(`${long.id}.ndjson`))
  assert.ok((await jobs.list()).length <= keptJobs + 1)
  assert.equal(jobs.running()?.id, long.id)
  long.end(undefined)
  await long.result
})

test('a job that can be retried is not forgotten for checks, however many came after it, nor after a restart', async (context) => {
  const { open } = await ground(context)
  const first = open()
  const { id, end, result } = puppet(first)
  end(new AppError('deploy-failed', 'no'))
  await result
  await first.written()
  // Another process: what it keeps it has to look up.
  const jobs = open()
  for (let count = 0; count < keptJobs + 5; count++) {
    const check = puppet(jobs, look)
    check.end(undefined)
    await check.result
    await jobs.written()
  }
  for (const process of [jobs, open()]) assert.equal((await documentOf(process, id)).retryable, true)
})

test('what is begun after a clock was set back is newer than what was there', async (context) => {
  const { open, folder } = await ground(context)
  await mkdir(folder)
  const ahead = { ...{ id: '29990101T000000000Z', step: null, title: 'Ahead', actor: 'script' }, kind: 'apply' }
  const head = { ...ahead, startedAt: '2999-01-01T00:00:00.000Z', steps: [], resumes: null }
  await writeFile(join(folder, `${ahead.id}.ndjson`), `${JSON.stringify(head)}\n`)
  const jobs = open()
  const { id, end, result } = puppet(jobs)
  end(new AppError('deploy-failed', 'no'))
  await result
  assert.deepEqual(
    (await jobs.list()).map((job) => [job.id, job.retryable]),
    [
      [id, true],
      [ahead.id, false]
    ]
  )
})

test('an end that is told while a failed line is given up is written all the same', async (context) => {
  const { stateDir } = await ground(context)
  const folder = join(stateDir, 'jobs')
  await writeFile(folder, 'no folder')
  let told = () => {}
  const journals = openJournals(stateDir, () => told())
  const begun = { id: 'one', kind: 'apply', step: null, title: '', actor: 'script', startedAt: '' } as const
  const journal = journals.begin({ ...begun, steps: [], resumes: null }, async () => new Set())
  const refused = Promise.withResolvers<void>()
  told = () => refused.resolve()
  await refused.promise
  // The first failure was the folder's, the second is the line's: now the disk has room, and the job ends.
  told = () => {
    rmSync(folder)
    mkdirSync(folder)
    journal.write({
      ...{ n: 1, at: '', type: 'end', state: 'done', problem: null },
      ...{ next: null, finished: false, resumable: false }
    })
  }
  await journal.written()
  const [kept] = await journals.read()
  assert.deepEqual(
    kept?.events.map(({ type }) => type),
    ['end']
  )
})

test('however much is told, so much is kept: lines of a log go first, and nothing that says how it went', async (context) => {
  const { open, folder } = await ground(context)
  const jobs = open()
  const { id, watch: given, end, result } = puppet(jobs)
  const watch = await given
  watch.finding(finding('kms.first'))
  watch.phase('KMS: waiting until it is ready')
  for (let line = 0; line < 20_000; line++) watch.log(`line ${line} ${'x'.repeat(1000)}`)
  end(undefined)
  await result
  await jobs.written()
  const { events, document } = (await jobs.find(id)) ?? assert.fail()
  const all = events.after(0)
  assert.ok(all.length <= 600)
  assert.deepEqual(
    all.filter(({ type }) => type !== 'log').map(({ type }) => type),
    ['finding', 'phase', 'end']
  )
  assert.equal(all.at(-1)?.n, 20_003)
  assert.equal(document().phases[0]?.log.at(-1)?.length, 400)
  assert.ok((await stat(join(folder, `${id}.ndjson`))).size < 300_000)
  const kept = await documentOf(open(), id)
  assert.deepEqual([kept.state, kept.findings.length], ['done', 1])
})
