/** Jobs at the door: 202 and what follows from it, for scripts, for browsers without scripts, and for who only looks. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { openLog } from '../../../lib/log/log.ts'
import { setupApp } from '../../app.ts'
import { processTarget } from '../../deploy/targets/process.ts'
import { openInstall } from '../../install/install.ts'
import { stepsOf, twoEffects, type Work } from '../../install/jobs/testing.ts'
import type { StepId } from '../../steps/step.ts'
import { openAccess } from '../access.ts'
import { createToken } from '../api/tokens.ts'

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
}

/** A wizard over steps of the test's, with a token for everything, one that may only read, and a browser's session. */
async function door(context: TestContext, work: Partial<Record<StepId, Work>>, checks?: Parameters<typeof stepsOf>[1]) {
  const stateDir = await mkdtemp(join(tmpdir(), 'ks-jobs-http-'))
  const target = processTarget({ stateDir, lifelineFd: null })
  const install = await openInstall({ stateDir, steps: stepsOf(work, checks), target })
  const access = await openAccess(stateDir)
  const app = await setupApp({
    ...{ install, access, suggestions: {}, finished: async () => {}, tls: false },
    log: openLog('wizard', 'silent'),
    allowedHosts: ['127.0.0.1']
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  context.after(async () => {
    app.server.closeAllConnections()
    await app.close()
    await target.stop()
    await install.jobs.written()
    await rm(stateDir, { recursive: true, maxRetries: 10 })
  })
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const [setup, read, other] = await Promise.all(
    (['setup', 'read', 'setup'] as const).map(async (scope) => (await createToken(stateDir, scope, 60_000)).token)
  )
  const ask = async (path: string, token: string | undefined, { method, headers, body }: Asked = {}) => {
    const answer = await fetch(url + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, text, json: text.startsWith('{') ? JSON.parse(text) : {} }
  }
  const code = await access.newCode()
  const session = (await access.claim(code, 'browser')) ?? assert.fail('no session')
  const cookie = `keyscaler-setup=${session}`
  const page = (path: string) => ask(path, undefined, { headers: { accept: 'text/html', cookie } })
  const form = async (path: string, fields: Readonly<Record<string, string>>, headers = {}) => {
    const { text } = await page('/setup/steps/welcome')
    const csrf = /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const answer = await fetch(url + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { accept: 'text/html', cookie, origin: url, ...headers },
      body: new URLSearchParams({ ...fields, _csrf: csrf })
    })
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }
  return { url, install, ask, page, form, setup, read, other, stateDir }
}

interface Said {
  readonly id: string
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

/** All that is said until the end of the stream. */
function saidIn(text: string): readonly Said[] {
  return text.split('\n\n').flatMap((block) => {
    const lines = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]))
    const data = lines.get('data')
    return data === undefined
      ? []
      : [{ id: lines.get('id') ?? '', event: lines.get('event') ?? '', data: JSON.parse(data) }]
  })
}

const yes = { answer: 'yes' }
const waiting = (seconds: number) => ({ headers: { prefer: `wait=${seconds}` } })

test('a POST is a job: 202 and its address; the same with Prefer: wait is answered when it has ended', async (context) => {
  const { work, between, goOn } = twoEffects()
  const { ask, setup, read } = await door(context, { welcome: work })
  const begun = await ask('/setup/steps/welcome', setup, { body: yes })
  assert.equal(begun.status, 202)
  const address = begun.headers.get('location') ?? ''
  assert.equal(address, begun.json.links.self)
  assert.deepEqual([begun.json.kind, begun.json.state, begun.json.actor], ['submit', 'running', 'script'])
  await between
  const looked = await ask(address, read)
  assert.deepEqual([looked.json.state, looked.json.phases[0].title], ['running', 'The first'])
  assert.deepEqual(
    (await ask('/setup/jobs', read)).json.jobs.map(({ id }: { id: string }) => id),
    [begun.json.id]
  )
  // Plain curl names nothing.
  const plain = await ask(address, read, { headers: { accept: '*/*' } })
  assert.deepEqual([plain.status, plain.json.id], [200, begun.json.id])
  const tooShort = await ask(address, read, waiting(1))
  assert.deepEqual(
    [tooShort.status, tooShort.json.state, tooShort.headers.get('preference-applied')],
    [200, 'running', 'wait=1']
  )
  const ended = ask(address, read, waiting(60))
  goOn()
  assert.deepEqual([(await ended).json.state, (await ended).json.location], ['done', '/setup/steps/memcached'])
  const whole = await ask('/setup/steps/memcached', setup, { body: yes, ...waiting(60) })
  assert.deepEqual([whole.status, whole.headers.get('location'), whole.json.next], [303, '/setup/steps/kafka', 'kafka'])
  const refused = await ask('/setup/steps/kafka', setup, { body: { answer: 'wrong' }, ...waiting(60) })
  assert.deepEqual([refused.status, refused.json.findings[0].id], [422, 'kafka.answered'])
  // By its shape alone it is refused at once, and is no job.
  assert.equal((await ask('/setup/steps/kafka', setup, { body: {} })).status, 422)
  assert.equal((await ask('/setup/steps/complete', setup, { body: yes })).status, 409)
  assert.equal((await ask('/setup/jobs', setup)).json.jobs.length, 3)
})

test('events come from the first or after Last-Event-ID, to the end and not beyond it', async (context) => {
  const { work, between, goOn } = twoEffects()
  const { ask, setup, read } = await door(context, { welcome: work })
  const { json } = await ask('/setup/steps/welcome', setup, { body: yes })
  await between
  const events = ask(json.links.events, read)
  goOn()
  const { headers, text } = await events
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.match(text, /^retry: \d+\n\n/)
  const said = saidIn(text)
  assert.deepEqual(
    said.map(({ id }) => Number(id)),
    said.map((_one, at) => at + 1)
  )
  assert.deepEqual(
    said.map(({ event }) => event),
    ['finding', 'phase', 'effect', 'effect', 'phase', 'effect', 'effect', 'end']
  )
  const { state, location } = said.at(-1)?.data ?? {}
  assert.deepEqual([state, location], ['done', '/setup/steps/memcached'])
  const after = (id: string) => ask(json.links.events, read, { headers: { 'last-event-id': id } })
  assert.deepEqual(
    saidIn((await after('5')).text).map(({ id }) => id),
    ['6', '7', '8']
  )
  assert.equal((await after('8')).status, 204, 'an EventSource is told not to come back')
  assert.equal((await after('none')).status, 200)
  assert.equal((await ask('/setup/jobs/none/events', read)).status, 404)
  assert.equal((await ask(json.links.events, undefined)).status, 401)
})

test('a second one is refused with who works and since when, and its address', async (context) => {
  const { work, between, goOn } = twoEffects()
  const { ask, form, page, setup } = await door(context, { welcome: work })
  const { json } = await ask('/setup/steps/welcome', setup, { body: yes })
  await between
  const second = await ask('/setup/steps/welcome', setup, { body: yes })
  assert.equal(second.status, 409)
  assert.equal(second.json.type, '/problems/conflict')
  assert.match(
    second.json.detail,
    /^Next of Step welcome is under way since \d\d:\d\d:\d\d UTC, asked for by a script\.$/
  )
  assert.equal(second.json.job, json.links.self)
  assert.equal(second.headers.get('link'), `<${json.links.self}>; rel="related"`)
  const inWindow = await form('/setup/steps/welcome', yes)
  assert.equal(inWindow.status, 409)
  assert.ok(inWindow.text.includes(`href="${json.links.self}"`))
  assert.ok((await page('/setup/steps/welcome')).text.includes(json.links.self), 'the step itself says so, too')
  assert.equal((await page('/setup/jobs')).headers.get('location'), json.links.self)
  // A check changes nothing, and goes on beside it.
  assert.equal((await ask('/setup/steps/welcome/check', setup, { body: yes, ...waiting(60) })).status, 200)
  goOn()
})

test('who may only read follows and cannot cancel; a page of another site cannot; who may, stops it, and goes on', async (context) => {
  const { work, made, between, goOn } = twoEffects()
  const { url, ask, form, page, setup, read } = await door(context, { welcome: work })
  const { json } = await ask('/setup/steps/welcome', setup, { body: yes })
  await between
  const cancel = json.links.cancel
  assert.equal((await ask(cancel, read, { method: 'POST' })).status, 403)
  assert.equal((await form(cancel, {}, { origin: 'https://evil.example' })).status, 403)
  const withoutToken = await fetch(url + cancel, { method: 'POST', headers: { origin: url } })
  assert.equal(withoutToken.status, 401)
  const cancelled = await ask(cancel, setup, { method: 'POST' })
  assert.deepEqual([cancelled.status, cancelled.json.state], [202, 'cancelling'])
  const ended = ask(json.links.self, setup, waiting(60))
  goOn()
  const stopped = (await ended).json
  assert.deepEqual([stopped.state, stopped.links.cancel], ['cancelled', null])
  assert.deepEqual(stopped.stands, [{ kind: 'topic', name: 'first', state: 'done' }])
  assert.equal((await ask(cancel, setup, { method: 'POST' })).status, 409)
  const shown = await page(json.links.self)
  assert.equal(shown.status, 200)
  assert.match(shown.text, /Kafka topic first/)
  assert.match(shown.text, new RegExp(`action="${stopped.links.retry}"`))
  assert.equal((await ask(stopped.links.retry, read, { method: 'POST' })).status, 403)
  const retried = await ask(stopped.links.retry, setup, { method: 'POST', ...waiting(60) })
  assert.deepEqual(
    [retried.status, retried.json.kind, retried.json.state, retried.json.resumes],
    [200, 'resume', 'done', json.id]
  )
  assert.deepEqual(made, ['first', 'first', 'second'])
  assert.equal((await ask(stopped.links.retry, setup, { method: 'POST' })).status, 409)
})

test('without scripts: what is soon done leads on at once, what takes longer has a page that loads itself until it leads on', async (context) => {
  const { work, between, goOn } = twoEffects()
  const { form, page } = await door(context, { memcached: work })
  const quick = await form('/setup/steps/welcome', yes)
  assert.deepEqual([quick.status, quick.headers.get('location')], [303, '/setup/steps/memcached'])
  const refused = await form('/setup/steps/memcached', { answer: 'wrong' })
  assert.equal(refused.status, 422)
  assert.match(refused.text, /value="wrong"/)
  const slow = await form('/setup/steps/memcached', { ...yes, password: 'a typed secret' })
  const address = slow.headers.get('location') ?? ''
  assert.deepEqual([slow.status, address.startsWith('/setup/jobs/')], [303, true])
  await between
  const during = await page(address)
  assert.match(during.text, /<meta http-equiv="?refresh"? content="?2/)
  assert.match(during.text, new RegExp(`action="${address}/cancel"`))
  assert.equal(during.text.includes('a typed secret'), false)
  goOn()
  for (;;) {
    const after = await page(address)
    if (after.status === 200) continue
    assert.deepEqual([after.status, after.headers.get('location')], [303, '/setup/steps/kafka'])
    break
  }
})

test('a form that asks for no answer now (Prefer: respond-async) is given the job, and a page of what is wrong with it', async (context) => {
  const { form, page } = await door(context, {})
  const headers = { prefer: 'respond-async' }
  const begun = await form('/setup/steps/welcome', { answer: 'wrong' }, headers)
  assert.deepEqual([begun.status, begun.headers.get('preference-applied')], [202, 'respond-async'])
  const address = begun.headers.get('location') ?? ''
  let shown = await page(address)
  while (/http-equiv/.test(shown.text)) shown = await page(address)
  assert.match(shown.text, /It is wrong\./)
  assert.match(shown.text, /value="wrong"/)
  assert.equal((await form('/setup/steps/welcome', { answer: '' }, headers)).status, 422)
})

test('what is shown once goes to the token that asked, with the job when it did not wait, and to nobody else', async (context) => {
  const showOnce = [{ label: 'Participant secret', value: 'only-once', secret: true }]
  const { ask, setup, read, other } = await door(context, { welcome: async () => ({ showOnce }) })
  const { json } = await ask('/setup/steps/welcome', setup, { body: yes })
  const { self, events } = json.links
  await ask(self, read, waiting(60))
  assert.equal((await ask(events, setup)).text.includes('only-once'), false)
  for (const token of [read, other]) assert.equal((await ask(self, token)).json.showOnce, undefined)
  assert.equal((await ask(self, setup, { method: 'HEAD' })).status, 200)
  assert.deepEqual((await ask(self, setup)).json.showOnce, showOnce)
  assert.equal((await ask(self, setup)).text.includes('only-once'), false)
  assert.equal((await ask('/setup/jobs', setup)).text.includes('only-once'), false)
})

test('sent twice with one key it is one job', async (context) => {
  const { work, between, goOn, made } = twoEffects()
  const { ask, setup } = await door(context, { welcome: work })
  const order = { body: yes, headers: { 'idempotency-key': 'one' } }
  const first = await ask('/setup/steps/welcome', setup, order)
  await between
  const again = await ask('/setup/steps/welcome', setup, order)
  assert.deepEqual(
    [again.status, again.json.id, again.headers.get('idempotent-replayed')],
    [202, first.json.id, 'true']
  )
  goOn()
  await ask(first.json.links.self, setup, waiting(60))
  assert.equal((await ask('/setup/steps/welcome', setup, order)).json.id, first.json.id)
  assert.deepEqual(made, ['first', 'second'])
})

test('a form that is pressed twice, without scripts, is done once, and the second press leads to it', async (context) => {
  const { work, between, goOn, made } = twoEffects()
  const { form, page, install } = await door(context, { welcome: work })
  const press = (answer = 'yes') => form('/setup/steps/welcome', { answer, _revision: '0' })
  const first = press()
  await between
  const [job] = await install.jobs.list()
  const second = await press()
  assert.deepEqual([second.status, second.headers.get('location')], [303, `/setup/jobs/${job?.id}`])
  // Something else is not what was pressed: it is refused, and told why.
  const another = await press('no')
  assert.equal(another.status, 409)
  assert.match(another.text, /Next of Step welcome is under way since .*, asked for by the browser/)
  assert.match(another.text, new RegExp(`href="/setup/jobs/${job?.id}"`))
  goOn()
  await first
  await (await install.jobs.find(job?.id ?? ''))?.ended
  // The same page once more, when all is over.
  const third = await press()
  assert.equal(third.status, 409)
  assert.match(third.text, /answered since this page was opened: in another window, or by a second press/)
  assert.deepEqual([made, (await install.jobs.list()).length], [['first', 'second'], 1])
  assert.match((await page('/setup')).headers.get('location') ?? '', /memcached/)
})

test('who does not read holds up nobody: the work ends, and later it gets the end and the last lines', async (context) => {
  const lines = 60_000
  const reading = Promise.withResolvers<void>()
  const { url, install, ask, setup } = await door(context, {
    welcome: async (apply) => {
      await reading.promise
      for (let line = 0; line < lines; line++) {
        apply.report(`Line ${line} ${'x'.repeat(300)}`)
        // As much is written meanwhile as the connection takes.
        if (line % 200 === 0) await setImmediate()
      }
      return {}
    }
  })
  const { json } = await ask('/setup/steps/welcome', setup, { body: yes })
  const asked = request(url + json.links.events, { headers: { authorization: `Bearer ${setup}` } })
  asked.end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.pause()
  reading.resolve()
  const job = (await install.jobs.find(json.id)) ?? assert.fail()
  await job.ended
  assert.ok(job.events.after(0).length <= 600)
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk
  const said = saidIn(text)
  assert.equal(said.at(-1)?.event, 'end')
  assert.ok(said.length < lines / 2, `${said.length} of ${lines} were sent`)
})
