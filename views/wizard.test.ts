/** public/wizard.js in a real browser, against a server that says what the wizard's says. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import formbody from '@fastify/formbody'
import fastifyStatic from '@fastify/static'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import Fastify from 'fastify'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright'
import type { StreamLine } from '../server/web/view-model.ts'
import { samplePages } from './sample-pages.ts'

const executablePath = '/usr/bin/chromium'
const skip = existsSync(executablePath) ? false : 'no /usr/bin/chromium on this machine'
const pages = samplePages()
const posts: { readonly url: string; readonly accept: string; readonly body: Readonly<Record<string, string>> }[] = []
/** What the next POST answers: lines of a stream, then its end ('cut' = the connection breaks). */
let lines: readonly StreamLine[] = []
let end: 'clean' | 'cut' | 'html' = 'clean'
let browser: Browser
let origin = ''
const app = Fastify()

before(async () => {
  if (skip) return
  const root = import.meta.dirname
  await app.register(formbody)
  await app.register(fastifyView, { engine: { eta: new Eta({ views: root }) }, root })
  await app.register(fastifyStatic, { root: join(root, '..', 'public'), prefix: '/public/' })
  app.addHook('onSend', async (_request, reply) => {
    reply.header(
      'content-security-policy',
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
    )
  })
  const draw = (name: string) => app.view(pages[name]?.template ?? '', pages[name]?.model)
  app.get('/setup/steps/kms', async (_request, reply) => reply.type('text/html').send(await draw('kms')))
  app.get('/setup/steps/memcached', async (_request, reply) => reply.type('text/html').send(await draw('memcached')))
  app.post('/setup/steps/*', async (request, reply) => {
    posts.push({
      url: request.url,
      accept: request.headers.accept ?? '',
      body: request.body as Readonly<Record<string, string>>
    })
    if (end === 'html')
      return reply
        .code(422)
        .type('text/html')
        .send(await draw('kms-error'))
    reply.hijack()
    reply.raw.setHeader('content-type', 'application/x-ndjson')
    for (const line of lines) reply.raw.write(`${JSON.stringify(line)}\n`)
    if (end === 'cut') setTimeout(() => reply.raw.destroy(), 50)
    else reply.raw.end()
    return reply
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
  browser = await chromium.launch({ executablePath, args })
})

after(async () => {
  if (skip) return
  await browser.close()
  await app.close()
})

async function kmsPage(
  options: { javaScriptEnabled?: boolean } = {}
): Promise<{ page: Page; context: BrowserContext }> {
  posts.length = 0
  lines = []
  end = 'clean'
  const context = await browser.newContext(options)
  context.setDefaultTimeout(10_000)
  const page = await context.newPage()
  await page.goto(`${origin}/setup/steps/kms`)
  return { page, context }
}

test('Show Password shows the password and is back to hidden when the form is sent', { skip }, async () => {
  const { page, context } = await kmsPage()
  const field = page.getByLabel('Gemalto SafeNet KeyStore Password')
  await field.fill('co-password')
  await page.getByRole('checkbox', { name: 'Show Password' }).check()
  assert.equal(await field.getAttribute('type'), 'text')
  lines = [{ type: 'problem', text: 'The database went away.' }]
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByRole('alert').waitFor()
  assert.equal(await field.getAttribute('type'), 'password')
  assert.equal(posts[0]?.body.password, 'co-password')
  await context.close()
})

test('picking a partition fills slot and name, and keeps a typed password', { skip }, async () => {
  const { page, context } = await kmsPage()
  await page.getByLabel('Gemalto SafeNet KeyStore Password').fill('co-password')
  await page.getByRole('radio', { name: 'Slot 5: spare' }).check()
  assert.equal(await page.getByLabel('Gemalto SafeNet Slot Number').inputValue(), '5')
  assert.equal(await page.getByLabel('Gemalto SafeNet Partition Name').inputValue(), 'spare')
  assert.equal(await page.getByLabel('Gemalto SafeNet KeyStore Password').inputValue(), 'co-password')
  assert.equal(posts.length, 0)
  await context.close()
})

test('Test sends the form once to /check and puts the answered page in place, its summary focused', {
  skip
}, async () => {
  const { page, context } = await kmsPage()
  const model = pages['kms-error']
  const html = await app.view(model?.template ?? '', model?.model)
  lines = [
    { type: 'waiting', id: 'kms.ladder', what: 'C_Login', ms: 500 },
    { type: 'finding', finding: { id: 'kms.fips', title: 'FIPS mode', verdict: 'info', say: 'Off.', ms: 3 } },
    { type: 'page', html }
  ]
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
  assert.deepEqual(
    posts.map(({ url, accept }) => [url, accept]),
    [['/setup/steps/kms/check', 'application/x-ndjson']]
  )
  assert.match(await page.title(), /^Error: KMS Deployment/)
  assert.equal(await page.evaluate('document.activeElement.id'), 'summary')
  await page.getByRole('button', { name: 'Use slot 3' }).click()
  assert.equal(await page.getByLabel('Gemalto SafeNet Slot Number').inputValue(), '3')
  assert.equal(posts.length, 1, 'an offer is filled in without asking the server')
  await context.close()
})

test('Enter in a field means Next, and a finished step goes on to the next one', { skip }, async () => {
  const { page, context } = await kmsPage()
  lines = [
    { type: 'phase', text: 'Deploying the KMS' },
    { type: 'done', location: '/setup/steps/memcached' }
  ]
  await page.getByLabel('KMS Host Address').press('Enter')
  await page.waitForURL(`${origin}/setup/steps/memcached`)
  assert.equal(posts[0]?.url, '/setup/steps/kms')
  await context.close()
})

test('an answer that breaks off is said and not sent again', { skip }, async () => {
  const { page, context } = await kmsPage()
  lines = [{ type: 'phase', text: 'Creating the master key' }]
  end = 'cut'
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByText('The connection was lost.').waitFor()
  assert.equal(posts.length, 1)
  assert.equal(await page.getByRole('button', { name: 'Next' }).getAttribute('aria-disabled'), 'false')
  await context.close()
})

test('while one Test is under way, another does nothing', { skip }, async () => {
  const { page, context } = await kmsPage()
  await page.route('**/check', async (route) => {
    // Not click(): Playwright waits while a button is aria-disabled, which people need not.
    await page.getByRole('button', { name: 'Next' }).dispatchEvent('click')
    await route.continue()
  })
  lines = [{ type: 'problem', text: 'That was all.' }]
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByText('That was all.').waitFor()
  assert.deepEqual(
    posts.map(({ url }) => url),
    ['/setup/steps/kms/check']
  )
  await context.close()
})

test('without scripts the choice of key store still hides the other one, and Test is a plain post', {
  skip
}, async () => {
  const { page, context } = await kmsPage({ javaScriptEnabled: false })
  assert.equal(await page.getByLabel('Gemalto SafeNet Slot Number').isVisible(), true)
  assert.equal(await page.getByLabel('Key store folder').isVisible(), false)
  assert.equal(await page.getByRole('button', { name: 'Use this partition' }).isVisible(), true)
  await page.getByLabel('Key Store Options').selectOption('nss')
  assert.equal(await page.getByLabel('Gemalto SafeNet Slot Number').isVisible(), false)
  assert.equal(await page.getByLabel('Key store folder').isVisible(), true)
  end = 'html'
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByRole('heading', { name: 'There is a problem' }).waitFor()
  assert.equal(posts[0]?.body._revision, '7')
  await context.close()
})
