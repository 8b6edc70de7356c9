/** public/wizard.js and job.js in a real browser, against a server that says what the wizard's says. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, test } from 'node:test'
import formbody from '@fastify/formbody'
import fastifyStatic from '@fastify/static'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import Fastify, { type FastifyReply } from 'fastify'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright'
import type { JobHappening } from '../server/install/jobs/job.ts'
import { job, samplePages } from './sample-pages.ts'

const executablePath = '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : 'no /usr/bin/chromium on this machine'
const pages = samplePages()

/** What the server does and has seen; each test begins with another. */
interface Server {
  readonly posts: {
    readonly url: string
    readonly prefer: string
    readonly key: string
    readonly body: Readonly<Record<string, string>>
  }[]
  /** Last-Event-ID of each time that somebody began to listen. */
  readonly listened: string[]
  /** Name of the page that a POST is answered with at once; null: work is begun. */
  refusal: { readonly page: string; readonly status: number } | null
  events: readonly JobHappening[]
  /** The stream is cut off after so many events, once. */
  cutAfter: number | null
  /** Nobody answers but for the files: the wizard is gone. */
  gone: boolean
  ended: boolean
  /** The next POST comes, and its answer does not. */
  swallows: boolean
  /** The page of the job, when it is asked for. */
  drawn: string
}
let server: Server
let streams: PassThrough[] = []
let browser: Browser
let origin = ''
const app = Fastify({ forceCloseConnections: true })
const self = job.self
const draw = (name: string) => app.view(pages[name]?.template ?? '', pages[name]?.model)
const page = async (reply: FastifyReply, name: string) => reply.type('text/html').send(await draw(name))

before(async () => {
  if (skip) return
  const root = import.meta.dirname
  await app.register(formbody)
  await app.register(fastifyView, { engine: { eta: new Eta({ views: root }) }, root })
  await app.register(fastifyStatic, { root: join(root, '..', 'public'), prefix: '/public/' })
  app.addHook('onRequest', async (request, reply) => {
    if (!server.gone || !request.url.startsWith('/setup')) return
    reply.hijack()
    request.raw.socket.destroy()
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header(
      'content-security-policy',
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
    )
  })
  app.get('/setup/steps/kms', (_request, reply) => page(reply, 'kms'))
  app.get('/setup/steps/memcached', (_request, reply) => page(reply, 'memcached'))
  app.get<{ Params: { name: string } }>('/sample/:name', (request, reply) => page(reply, request.params.name))
  app.get('/setup/jobs', async () => ({
    jobs: [{ id: self.split('/').at(-1), endedAt: server.ended ? 'then' : null }]
  }))
  app.get(self, async (request, reply) => {
    if (request.headers.accept === 'application/json') {
      return { state: server.ended ? 'done' : 'running', endedAt: server.ended ? 'then' : null, next: 'memcached' }
    }
    return page(reply, server.drawn)
  })
  app.get(`${self}/events`, async (request, reply) => {
    const seen = String(request.headers['last-event-id'] ?? '')
    server.listened.push(seen)
    const stream = new PassThrough()
    streams.push(stream)
    stream.write('retry: 50\n\n')
    tell(stream, Number(seen))
    return reply.type('text/event-stream').send(stream)
  })
  app.post('/setup/*', async (request, reply) => {
    server.posts.push({
      url: request.url,
      prefer: String(request.headers.prefer ?? ''),
      key: String(request.headers['idempotency-key'] ?? ''),
      body: request.body as Readonly<Record<string, string>>
    })
    if (server.swallows) {
      server.swallows = false
      server.gone = true
      reply.hijack()
      return request.raw.socket.destroy()
    }
    if (server.refusal !== null) return page(reply.code(server.refusal.status), server.refusal.page)
    return reply.code(202).header('location', self).send({})
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
  browser = await chromium.launch({ executablePath, args })
})

after(async () => {
  if (skip) return
  await browser.close()
  for (const stream of streams) stream.destroy()
  await app.close()
})

/** Writes the events after number `seen`, and ends the stream where it has to. */
function tell(stream: PassThrough, seen: number): void {
  const { events, cutAfter } = server
  server.cutAfter = null
  const upTo = cutAfter ?? events.length
  events.slice(0, upTo).forEach((event, at) => {
    const n = at + 1
    const data = JSON.stringify({ n, at: new Date().toISOString(), ...event })
    if (n > seen) stream.write(`id: ${n}\nevent: ${event.type}\ndata: ${data}\n\n`)
  })
  if (cutAfter !== null || events.at(-1)?.type === 'end') stream.end()
}

/** More happens, to whoever listens. */
function happen(...more: JobHappening[]): void {
  const seen = server.events.length
  server.events = [...server.events, ...more]
  for (const stream of streams) if (!stream.writableEnded) tell(stream, seen)
}

async function kmsPage(
  given: Partial<Server> = {},
  options: { javaScriptEnabled?: boolean } = {}
): Promise<{ page: Page; context: BrowserContext }> {
  const server0: Server = {
    ...{ posts: [], listened: [], refusal: null, events: [], cutAfter: null, gone: false, ended: false },
    swallows: false,
    drawn: 'job-running'
  }
  server = { ...server0, ...given }
  streams = []
  const context = await browser.newContext(options)
  context.setDefaultTimeout(10_000)
  const opened = await context.newPage()
  await opened.goto(`${origin}/setup/steps/kms`)
  return { page: opened, context }
}

const fips = { id: 'kms.fips', title: 'FIPS mode', verdict: 'info', say: 'Off.', ms: 3 } as const
const end = (state: 'done' | 'failed' | 'cancelled', next: 'memcached' | null = null): JobHappening => ({
  ...{ type: 'end', state, next, problem: null, finished: false, resumable: state !== 'done' }
})
const next = (opened: Page) => opened.getByRole('button', { name: 'Next' })
const testButton = (opened: Page) => opened.getByRole('button', { name: 'Test' })

test('Show Password shows the password and is back to hidden when the form is sent', { skip }, async () => {
  const { page: opened, context } = await kmsPage({ refusal: { page: 'error', status: 409 } })
  const field = opened.getByLabel('Gemalto SafeNet KeyStore Password')
  await field.fill('co-password')
  await opened.getByRole('checkbox', { name: 'Show Password' }).check()
  assert.equal(await field.getAttribute('type'), 'text')
  await testButton(opened).click()
  await opened.getByRole('alert').waitFor()
  assert.equal(await field.getAttribute('type'), 'password')
  assert.equal(server.posts[0]?.body.password, 'co-password')
  await context.close()
})

test('picking a partition fills slot and name, and keeps a typed password', { skip }, async () => {
  const { page: opened, context } = await kmsPage()
  await opened.getByLabel('Gemalto SafeNet KeyStore Password').fill('co-password')
  await opened.getByRole('radio', { name: 'Slot 5: spare' }).check()
  assert.equal(await opened.getByLabel('Gemalto SafeNet Slot Number').inputValue(), '5')
  assert.equal(await opened.getByLabel('Gemalto SafeNet Partition Name').inputValue(), 'spare')
  assert.equal(await opened.getByLabel('Gemalto SafeNet KeyStore Password').inputValue(), 'co-password')
  assert.equal(server.posts.length, 0)
  await context.close()
})

test('Test sends the form once to /check, shows rows as they come, and then the page that the server draws', {
  skip
}, async () => {
  const { page: opened, context } = await kmsPage({ drawn: 'kms-error' })
  await testButton(opened).click()
  // Not waitForFunction(): that looks a second time by eval(), which the policy of our pages forbids.
  await opened.evaluate(`new Promise((loaded) => {
    const name = '/job.js' + new URL(document.scripts[0].src).search
    const look = (list) => list.getEntries().some((entry) => entry.name.endsWith(name)) && loaded()
    new PerformanceObserver(look).observe({ type: 'resource', buffered: true })
  })`)
  happen(
    { type: 'finding', finding: fips },
    { type: 'waiting', id: 'kms.ladder', what: 'C_Login', since: new Date().toISOString() }
  )
  await opened.locator('#checks li[data-verdict=wait]', { hasText: 'C_Login' }).waitFor()
  happen(end('failed'))
  await opened.getByRole('heading', { name: 'There is a problem' }).waitFor()
  assert.deepEqual(
    server.posts.map(({ url, prefer }) => [url, prefer]),
    [['/setup/steps/kms/check', 'respond-async']]
  )
  assert.match(await opened.title(), /^Error: KMS Deployment/)
  assert.equal(await opened.evaluate('document.activeElement.id'), 'summary')
  await opened.getByRole('button', { name: 'Use slot 3' }).click()
  assert.equal(await opened.getByLabel('Gemalto SafeNet Slot Number').inputValue(), '3')
  assert.equal(server.posts.length, 1, 'an offer is filled in without asking the server')
  await context.close()
})

test('Enter in a field means Next; phases come with their logs, and a finished step goes on to the next one', {
  skip
}, async () => {
  const { page: opened, context } = await kmsPage()
  await opened.getByLabel('KMS Host Address').press('Enter')
  await opened.getByText('Checking…').waitFor()
  happen(
    { type: 'phase', step: 'kms', title: 'Creating the master key' },
    { type: 'phase', step: 'kms', title: 'Deploying the KMS' },
    { type: 'log', line: 'the pool grows' }
  )
  const rows = opened.locator('#job li')
  await rows.nth(1).getByText('the pool grows').waitFor()
  assert.deepEqual(await rows.evaluateAll((items) => items.map(({ dataset }) => dataset.verdict)), ['pass', 'wait'])
  assert.equal(await opened.getByRole('log', { name: 'Log: Deploying the KMS' }).count(), 1)
  happen({ type: 'waiting', id: 'kms', what: 'an answer', since: new Date().toISOString() })
  await opened.getByText(/^Waiting for an answer since \d+ ms$/).waitFor()
  happen(end('done', 'memcached'))
  await opened.waitForURL(`${origin}/setup/steps/memcached`)
  assert.equal(server.posts[0]?.url, '/setup/steps/kms')
  await context.close()
})

test('what is refused by another job keeps all that was typed', { skip }, async () => {
  const { page: opened, context } = await kmsPage({ refusal: { page: 'error', status: 409 } })
  await opened.getByLabel('Gemalto SafeNet KeyStore Password').fill('co-password')
  await next(opened).click()
  await opened.getByRole('alert').getByText('Another tab has saved this step since you opened it.').waitFor()
  assert.equal(await opened.getByLabel('Gemalto SafeNet KeyStore Password').inputValue(), 'co-password')
  assert.equal(await next(opened).getAttribute('aria-disabled'), 'false')
  await context.close()
})

test('Cancel is sent once, says so, and the page after it has what stands', { skip }, async () => {
  const { page: opened, context } = await kmsPage()
  await next(opened).click()
  await opened.getByText('Checking…').waitFor()
  happen({ type: 'phase', step: 'kms', title: 'Creating the master key' })
  const cancel = opened.getByRole('button', { name: 'Cancel' })
  await cancel.click()
  await cancel.dispatchEvent('click')
  await opened.locator('[data-cancel] button[aria-disabled=true]').waitFor()
  server.drawn = 'kms-cancelled'
  happen({ type: 'cancelling' })
  await opened.getByRole('heading', { name: 'Stopping at the next safe point' }).waitFor()
  happen(end('cancelled'))
  await opened.getByRole('heading', { name: 'What stands' }).waitFor()
  assert.deepEqual(
    server.posts.map(({ url }) => url),
    ['/setup/steps/kms', `${self}/cancel`]
  )
  assert.equal(server.posts[1]?.body._csrf, 'c3Jm.token')
  await context.close()
})

test('a stream that breaks off is taken up where it was, and nothing is sent again', { skip }, async () => {
  const events: JobHappening[] = [
    { type: 'finding', finding: fips },
    { type: 'phase', step: 'kms', title: 'Creating the master key' },
    { type: 'phase', step: 'kms', title: 'Deploying the KMS' }
  ]
  const { page: opened, context } = await kmsPage({ events, cutAfter: 2 })
  await next(opened).click()
  await opened.locator('#job li', { hasText: 'Deploying the KMS' }).waitFor()
  assert.deepEqual(server.listened, ['', '2'])
  assert.equal(await opened.locator('#job li').count(), 2)
  happen(end('done', 'memcached'))
  await opened.waitForURL(`${origin}/setup/steps/memcached`)
  assert.equal(server.posts.length, 1)
  await context.close()
})

test('a wizard that is gone is said to be gone, looked for, and followed again when it is back', { skip }, async () => {
  const { page: opened, context } = await kmsPage()
  await next(opened).click()
  await opened.getByText('Checking…').waitFor()
  happen({ type: 'phase', step: 'kms', title: 'Creating the master key' })
  await opened.locator('#job li').waitFor()
  server.gone = true
  for (const stream of streams) stream.destroy()
  await opened.getByRole('alert').getByText('The connection was lost.').waitFor()
  assert.equal(await next(opened).getAttribute('aria-disabled'), 'true')
  server.ended = true
  server.gone = false
  await opened.waitForURL(`${origin}/setup/steps/memcached`)
  assert.equal(server.posts.length, 1)
  await context.close()
})

test('a form whose answer was lost is sent again as the same press, which is done once, and is followed', {
  skip
}, async () => {
  const { page: opened, context } = await kmsPage({ swallows: true })
  await next(opened).click()
  const lost = opened.getByRole('alert').getByText('The connection was lost before setup answered.')
  await lost.waitFor()
  assert.equal(await next(opened).getAttribute('aria-disabled'), 'true')
  server.gone = false
  await opened.locator('#job').waitFor()
  assert.equal(await lost.count(), 0)
  happen(end('done', 'memcached'))
  await opened.waitForURL(`${origin}/setup/steps/memcached`)
  const [first, again, ...more] = server.posts
  assert.match(first?.key ?? '', /^[\d-]{7,}$/)
  assert.deepEqual([again, more], [first, []])
  await context.close()
})

test('pressed twice it is sent once, and another press has another key', { skip }, async () => {
  const { page: opened, context } = await kmsPage({ refusal: { page: 'kms-error', status: 422 } })
  for (const presses of [1, 2]) {
    await Promise.all([opened.waitForResponse(`${origin}/setup/steps/kms`), next(opened).dblclick()])
    await opened.locator('form[aria-busy=true]').waitFor({ state: 'detached' })
    await opened.getByRole('heading', { name: 'There is a problem' }).waitFor()
    assert.equal(server.posts.length, presses)
  }
  assert.notEqual(server.posts[0]?.key, server.posts[1]?.key)
  await context.close()
})

test('what was wrong before is not said any more while other answers are looked at', { skip }, async () => {
  const { page: opened, context } = await kmsPage({ refusal: { page: 'kms-error', status: 422 } })
  await testButton(opened).click()
  await opened.getByRole('alert').getByText('There is a problem').waitFor()
  server.refusal = null
  await next(opened).click()
  await opened.locator('#job').waitFor()
  assert.deepEqual(
    await Promise.all(['#summary', '.wrong', '.error', '[aria-invalid]'].map((part) => opened.locator(part).count())),
    [0, 0, 0, 0]
  )
  assert.doesNotMatch(await opened.title(), /^Error/)
  await context.close()
})

test('while one Test is under way, another does nothing', { skip }, async () => {
  const { page: opened, context } = await kmsPage()
  await testButton(opened).click()
  // Not click(): Playwright waits while a button is aria-disabled, which people need not.
  await next(opened).dispatchEvent('click')
  await opened.locator('#job').waitFor()
  assert.deepEqual(
    server.posts.map(({ url }) => url),
    ['/setup/steps/kms/check']
  )
  await context.close()
})

test('without scripts the choice of key store still hides the other one, and Test is a plain post', {
  skip
}, async () => {
  const { page: opened, context } = await kmsPage(
    { refusal: { page: 'kms-error', status: 422 } },
    { javaScriptEnabled: false }
  )
  assert.equal(await opened.getByLabel('Gemalto SafeNet Slot Number').isVisible(), true)
  assert.equal(await opened.getByLabel('Key store folder').isVisible(), false)
  assert.equal(await opened.getByRole('button', { name: 'Use this partition' }).isVisible(), true)
  await opened.getByLabel('Key Store Options').selectOption('nss')
  assert.equal(await opened.getByLabel('Gemalto SafeNet Slot Number').isVisible(), false)
  assert.equal(await opened.getByLabel('Key store folder').isVisible(), true)
  await testButton(opened).click()
  await opened.getByRole('heading', { name: 'There is a problem' }).waitFor()
  assert.equal(server.posts[0]?.body._revision, '7')
  assert.equal(server.posts[0]?.prefer, '')
  await context.close()
})

test('no column is out of sight: on paper nothing is cut off, on a desk no table of the record or of this server', {
  skip
}, async () => {
  const { page: opened, context } = await kmsPage()
  const cutOff = (of: string) =>
    opened.evaluate<number>(
      `[...document.querySelectorAll('${of}')].filter((e) => e.scrollWidth > e.clientWidth).length`
    )
  for (const name of ['record', 'finished', 'complete', 'welcome']) {
    await opened.setViewportSize({ width: 700, height: 900 })
    await opened.emulateMedia({ media: 'print' })
    await opened.goto(`${origin}/sample/${name}`)
    assert.equal(await cutOff('.scroll, pre'), 0, `${name}, printed`)
    await opened.setViewportSize({ width: 1280, height: 900 })
    await opened.emulateMedia({ media: 'screen' })
    assert.equal(await cutOff('.scroll:has(table)'), 0, name)
  }
  await context.close()
})
