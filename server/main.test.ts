/** The wizard as one program, before there is a database: its door, its guards, and what finishing and unlocking do. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import type { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { AppError } from '../lib/errors/app-error.ts'
import { openLog } from '../lib/log/log.ts'
import { type ServeOptions, serve, type Wizard } from './main.ts'

const folder = mkdtempSync(join(tmpdir(), 'wizard-'))
const running: Wizard[] = []
after(async () => {
  await Promise.all(running.map((wizard) => wizard.close(false)))
  rmSync(folder, { recursive: true })
})
let count = 0
const freshState = () => join(folder, String(++count))

interface Started extends Wizard {
  readonly said: string[]
  readonly code: string
  readonly stateDir: string
  readonly openedAgain: Promise<void>
}

async function start(more: Partial<ServeOptions> = {}): Promise<Started> {
  const stateDir = more.stateDir ?? freshState()
  const said: string[] = []
  const opened = Promise.withResolvers<void>()
  const wizard = await serve({
    host: '127.0.0.1',
    port: 0,
    allowedHosts: [],
    suggestions: {},
    log: openLog('wizard', 'silent'),
    say: (line) => {
      said.push(line)
      if (line.startsWith('Setup is open again')) opened.resolve()
    },
    ...more,
    stateDir
  })
  running.push(wizard)
  const code =
    said
      .find((line) => line.startsWith('Setup code:'))
      ?.slice('Setup code:'.length)
      .trim() ?? ''
  return { ...wizard, said, code, stateDir, openedAgain: opened.promise }
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly certificate: X509Certificate | undefined
}

/** `path` goes out as it is written here: no client tidies it up. */
function ask(url: string, path: string, { method = 'GET', headers = {}, body = '' }: Asked = {}): Promise<Answer> {
  const { protocol, hostname, port } = new URL(url)
  const send = protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path, method, headers, rejectUnauthorized: false, agent: false }
    const sent = send(options, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      const { socket } = response
      const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text, certificate })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
const form = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html' }
const json = { 'content-type': 'application/json', accept: 'application/json' }

async function browserSession({ url, code }: Started): Promise<{ cookie: string; csrf: string }> {
  const entered = await ask(url, '/setup/code', {
    method: 'POST',
    headers: { ...form, origin: url },
    body: new URLSearchParams({ code }).toString()
  })
  assert.equal(entered.status, 303)
  const cookie = (entered.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? ''
  const page = await ask(url, '/setup/steps/welcome', { headers: { cookie, accept: 'text/html' } })
  return { cookie, csrf: /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '' }
}

async function scriptToken({ url, code }: Started): Promise<string> {
  const answer = await ask(url, '/setup/session', { method: 'POST', headers: json, body: JSON.stringify({ code }) })
  assert.equal(answer.status, 201)
  return JSON.parse(answer.text).token
}

test('without the code nothing of setup is read or changed, by any spelling of its address', async () => {
  const { url } = await start()
  for (const path of ['/setup', '/setup/steps/kms', '/%73etup/steps/kms', '/setup/progress', '/setup//steps/kms']) {
    const page = await ask(url, path, { headers: { accept: 'text/html' } })
    assert.ok([303, 404].includes(page.status), `${path}: ${page.status}`)
    if (page.status === 303) assert.equal(page.headers.location, '/setup/code')
    assert.ok([401, 404].includes((await ask(url, path, { headers: json })).status), path)
  }
  const posted = await ask(url, '/setup/steps/welcome', { method: 'POST', headers: json, body: '{"acceptTerms":true}' })
  assert.equal(posted.status, 401)
})

test('a Host that is not ours is answered 421, also for addresses in absolute form', async () => {
  const { url } = await start({ allowedHosts: ['setup.example'] })
  const withHost = (host: string) => ask(url, '/setup/code', { headers: { host } })
  assert.equal((await withHost('evil.example')).status, 421)
  assert.equal((await withHost('setup.example:8080')).status, 200)
  assert.equal((await ask(url, 'http://evil.example/setup/code', { headers: { host: 'evil.example' } })).status, 421)
})

test('the browser session is an HttpOnly, SameSite=Strict cookie, and pages are kept nowhere', async () => {
  const wizard = await start()
  const entered = await ask(wizard.url, '/setup/code', {
    method: 'POST',
    headers: { ...form, origin: wizard.url },
    body: `code=${wizard.code}`
  })
  const cookie = entered.headers['set-cookie']?.[0] ?? ''
  assert.match(cookie, /^keyscaler-setup=.+; Path=\/; HttpOnly; SameSite=Strict$/)
  const page = await ask(wizard.url, '/setup/steps/welcome', { headers: { cookie, accept: 'text/html' } })
  assert.equal(page.status, 200)
  assert.equal(page.headers['cache-control'], 'no-store')
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'.*frame-ancestors 'none'/)
  assert.equal(page.text.includes(cookie.split('=')[1]?.split(';')[0] ?? ''), false)
})

test('a form without the session token, or from another site, changes nothing', async () => {
  const wizard = await start()
  const { cookie, csrf } = await browserSession(wizard)
  const post = (headers: Record<string, string>, fields: Record<string, string>) =>
    ask(wizard.url, '/setup/steps/welcome', {
      method: 'POST',
      headers: { ...form, cookie, ...headers },
      body: new URLSearchParams({ acceptTerms: 'on', ...fields }).toString()
    })
  assert.equal((await post({ origin: wizard.url }, {})).status, 403)
  assert.equal((await post({ origin: 'http://evil.example' }, { _csrf: csrf })).status, 403)
  assert.equal((await post({ 'sec-fetch-site': 'cross-site' }, { _csrf: csrf })).status, 403)
  assert.equal((await post({}, { _csrf: csrf })).status, 403)
  const accepted = await post({ origin: wizard.url }, { _csrf: csrf })
  assert.deepEqual([accepted.status, accepted.headers.location], [303, '/setup/steps/database'])
})

test('bodies that are not a step are 4xx and change nothing: text, arrays, prototypes, duplicates, 300 kB', async () => {
  const wizard = await start()
  const authorization = `Bearer ${await scriptToken(wizard)}`
  const post = (type: string, body: string) =>
    ask(wizard.url, '/setup/steps/welcome', {
      method: 'POST',
      headers: { ...json, authorization, 'content-type': type },
      body
    })
  const bad: readonly (readonly [type: string, body: string, status: number])[] = [
    ['text/plain', '{"acceptTerms":true}', 415],
    ['application/json', '{"acceptTerms":', 400],
    ['application/json', '{"__proto__":{"acceptTerms":true}}', 422],
    ['application/json', '[true]', 422],
    ['application/json', '{"acceptTerms":true,"admin":true}', 422],
    ['application/x-www-form-urlencoded', 'acceptTerms=on&acceptTerms=on', 422],
    ['application/json', JSON.stringify({ acceptTerms: 'x'.repeat(300_000) }), 413]
  ]
  for (const [type, body, status] of bad) assert.equal((await post(type, body)).status, status, body.slice(0, 60))
  const progress = await ask(wizard.url, '/setup/progress', { headers: { authorization, accept: 'application/json' } })
  assert.equal(JSON.parse(progress.text).next, 'welcome')
})

test('steps out of order are 409 for scripts and lead browsers back to the first that is not done', async () => {
  const wizard = await start()
  const authorization = `Bearer ${await scriptToken(wizard)}`
  const posted = await ask(wizard.url, '/setup/steps/kms', {
    method: 'POST',
    headers: { ...json, authorization },
    body: '{}'
  })
  assert.equal(posted.status, 409)
  assert.match(String(posted.headers['content-type']), /^application\/problem\+json/)
  const visited = await ask(wizard.url, '/setup/steps/kms', { headers: { authorization, accept: 'text/html' } })
  assert.deepEqual([visited.status, visited.headers.location], [303, '/setup/steps/welcome'])
})

test('a second tab that saves over a newer revision is told so', async () => {
  const wizard = await start()
  const authorization = `Bearer ${await scriptToken(wizard)}`
  const post = (body: object) =>
    ask(wizard.url, '/setup/steps/welcome', {
      method: 'POST',
      headers: { ...json, authorization, prefer: 'wait=60' },
      body: JSON.stringify(body)
    })
  assert.equal((await post({ acceptTerms: true, _revision: 0 })).status, 303)
  assert.equal((await post({ acceptTerms: true, _revision: 0 })).status, 409)
})

test('another address than loopback speaks TLS with a certificate whose fingerprint is printed, and a __Host- cookie', async () => {
  const wizard = await start({ host: '0.0.0.0', allowedHosts: ['setup_1', '127.0.0.1'] })
  const port = new URL(wizard.url).port
  const url = `https://127.0.0.1:${port}`
  const page = await ask(url, '/setup/code')
  assert.equal(page.status, 200)
  const printed = wizard.said.find((line) => line.startsWith('Certificate SHA-256: '))?.slice(21)
  assert.equal(page.certificate?.fingerprint256, printed)
  const entered = await ask(url, '/setup/code', {
    method: 'POST',
    headers: { ...form, origin: url },
    body: `code=${wizard.code}`
  })
  assert.match(
    entered.headers['set-cookie']?.[0] ?? '',
    /^__Host-keyscaler-setup=.+; Path=\/; HttpOnly; Secure; SameSite=Strict$/
  )
  assert.equal(statSync(join(wizard.stateDir, 'tls', 'wizard-web.key')).mode & 0o777, 0o600)
})

test('two wizards never work in one state folder', async () => {
  const { stateDir } = await start()
  await assert.rejects(start({ stateDir }), (error) => error instanceof AppError && error.code === 'conflict')
})

test('a finished install has no route of setup; keyscaler unlock on the host opens it again, with a fresh code', async () => {
  const stateDir = freshState()
  await (await start({ stateDir })).close(false)
  const boot = join(stateDir, 'boot.json')
  const finished = { ...JSON.parse(readFileSync(boot, 'utf8')), finishedAt: '2026-01-01T00:00:00.000Z' }
  writeFileSync(boot, JSON.stringify(finished), { mode: 0o600 })

  const wizard = await start({ stateDir })
  for (const path of ['/setup', '/setup/code', '/setup/steps/welcome', '/%73etup', '/setup/session']) {
    assert.equal((await ask(wizard.url, path)).status, 410, path)
    assert.equal((await ask(wizard.url, path, { method: 'POST', headers: json, body: '{}' })).status, 410, path)
  }
  assert.equal((await ask(wizard.url, '/', { headers: { accept: 'text/html' } })).status, 200)
  assert.equal(wizard.code, '')

  const cli = join(import.meta.dirname, 'cli.mjs')
  const unlocked = spawnSync(process.execPath, [cli, 'unlock', '--state', stateDir], { encoding: 'utf8' })
  assert.equal(unlocked.status, 0, unlocked.stderr)
  await wizard.openedAgain
  const { cookie } = await browserSession({ ...wizard, code: unlocked.stdout.trim() })
  assert.ok(cookie)
})

for (const command of ['unlock', 'code']) {
  test(`keyscaler ${command} in a folder without an install says so, and leaves nothing there`, () => {
    const stateDir = freshState()
    const cli = join(import.meta.dirname, 'cli.mjs')
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, command, '--state', stateDir], {
      encoding: 'utf8'
    })
    assert.deepEqual([status, stdout], [6, ''])
    assert.match(stderr, /There is no install in .*--state <folder>/s)
    assert.equal(existsSync(join(stateDir, 'setup-code')), false)
  })
}
