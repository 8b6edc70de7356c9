/** The frame around every route of the wizard: what is refused before one is reached, and what is said of it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { send } from '../../e2e/world/scripted.ts'
import { openLog } from '../../lib/log/log.ts'
import { serve, type Wizard } from '../main.ts'
import { createToken } from './api/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'wizard-app-'))
const stateDir = join(folder, 'state')
const logged: string[] = []
let wizard: Wizard
let token = ''

before(async () => {
  const log = openLog('wizard', 'warn', (line) => logged.push(line))
  wizard = await serve({ host: '127.0.0.1', port: 0, allowedHosts: [], suggestions: {}, log, stateDir, say: () => {} })
  token = (await createToken(stateDir, 'setup', 600_000)).token
})
after(async () => {
  await wizard.close(false)
  rmSync(folder, { recursive: true, force: true })
})

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const script = 'application/json'

interface Asked {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

async function ask(path: string, accept: string, { method = 'GET', body = '', headers = {} }: Asked = {}) {
  const answer = await send(wizard.url + path, {
    method,
    body,
    headers: { accept, authorization: `Bearer ${token}`, ...headers }
  })
  return { ...answer, type: String(answer.headers['content-type']).split(';')[0] }
}

test('who comes by a foreign name is told so in a problem, or on a page with its headers, at every address', async () => {
  const foreign = { headers: { host: 'evil.example' } }
  for (const path of ['/', '/setup/plan', '/setup/openapi.json', '/nothing', '/public/wizard.js', '/healthz']) {
    const refused = await ask(path, script, foreign)
    assert.deepEqual([refused.status, refused.type], [421, 'application/problem+json'], path)
    const { detail, cure, status } = JSON.parse(refused.text)
    assert.deepEqual(
      [status, detail, cure],
      [421, 'This name is not served here.', 'Use an address that setup printed.']
    )
    const page = await ask(path, browser, foreign)
    assert.deepEqual([page.status, page.type], [421, 'text/html'], path)
    assert.match(page.text, /This name is not served here\.[\s\S]*Use an address that setup printed\./)
    assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'none'/)
  }
})

test('the scheme of a token is read in any case, and another scheme is none', async () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const { status } = await ask('/setup/progress', script, { headers: { authorization: `${scheme} ${token}` } })
    assert.equal(status, 200, scheme)
  }
  for (const authorization of [`Basic ${token}`, token, `xbearer ${token}`]) {
    assert.equal((await ask('/setup/progress', script, { headers: { authorization } })).status, 401)
  }
})

test('a method that an address does not take is a 405 with those that it takes; nothing at an address stays a 404', async () => {
  const known: readonly (readonly [string, string, string])[] = [
    ['PUT', '/setup/plan?x=1', 'GET, HEAD, POST'],
    ['OPTIONS', '/setup/steps/kms', 'GET, HEAD, POST'],
    ['GET', '/setup/apply', 'POST'],
    ['GET', '/setup/steps/kms/change-password', 'POST'],
    ['DELETE', '/setup/jobs/none', 'GET, HEAD'],
    ['POST', '/public/wizard.js', 'GET, HEAD'],
    ['POST', '/', 'GET, HEAD']
  ]
  for (const [method, path, allow] of known) {
    const refused = await ask(path, script, { method })
    assert.deepEqual(
      [refused.status, refused.headers.allow, refused.type],
      [405, allow, 'application/problem+json'],
      path
    )
    assert.deepEqual([JSON.parse(refused.text).status, JSON.parse(refused.text).title], [405, 'Method not allowed'])
    const page = await ask(path, browser, { method })
    assert.deepEqual([page.status, page.headers.allow, page.type], [405, allow, 'text/html'], path)
  }
  for (const path of ['/nothing', '/setup/nothing', '/setup/steps/kms/nothing', '/problems/', '/setup/plan/x']) {
    for (const method of ['GET', 'PUT', 'OPTIONS']) {
      const { status, headers } = await ask(path, script, { method })
      assert.deepEqual([status, headers.allow], [404, undefined], `${method} ${path}`)
    }
  }
})

test('where Accept decides, the answer says so, whichever it is; what is always the same does not', async () => {
  for (const path of [
    '/setup/steps/kms',
    '/setup/plan',
    '/setup/progress',
    '/setup/api',
    '/help/errors',
    '/problems/locked',
    '/nothing'
  ]) {
    for (const accept of [script, browser]) {
      const { headers } = await ask(path, accept, { headers: { 'accept-encoding': 'gzip' } })
      assert.match(String(headers.vary), /\baccept\b(?!-)/, `${path} ${accept}`)
    }
  }
  const plain = await ask('/setup/openapi.json', script, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(plain.headers.vary, 'accept-encoding')
  const zipped = await ask('/setup/api', script, { headers: { 'accept-encoding': 'gzip' } })
  assert.deepEqual(String(zipped.headers.vary).split(', ').sort(), ['accept', 'accept-encoding'])
})

test('a member that could change a prototype is named as what is wrong; what is no JSON is told so', async () => {
  const post = (path: string, body: string) =>
    ask(path, script, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  for (const path of ['/setup/plan', '/setup/apply', '/setup/steps/kms', '/setup/session']) {
    const proto = await post(path, '{"steps":{"__proto__":{"slot":1}}}')
    assert.deepEqual([proto.status, JSON.parse(proto.text).errors[0].pointer], [422, '/__proto__'], path)
    assert.match(JSON.parse(proto.text).detail, /^Nothing here may be named __proto__\.$/)
    const escaped = await post(path, '{"\\u005f_proto__":1}')
    assert.deepEqual([escaped.status, JSON.parse(escaped.text).errors[0].pointer], [422, '/__proto__'])
    const made = await post(path, '{"constructor":{"prototype":{}}}')
    assert.deepEqual([made.status, JSON.parse(made.text).errors[0].pointer], [422, '/constructor'])
    const broken = await post(path, '{"__proto__":1')
    assert.deepEqual([broken.status, JSON.parse(broken.text).detail], [400, 'The body is not JSON.'])
  }
})

test('answers that are nested without end are refused by their field, also with a key and where they are submitted', async () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
  const post = (path: string, body: string, headers = {}) =>
    ask(path, script, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
  for (const headers of [{}, { 'idempotency-key': 'deep' }]) {
    const planned = await post('/setup/plan', `{"steps":{"memcached":{"servers":${deep}}}}`, headers)
    assert.equal(planned.status, 422, planned.text)
    assert.equal(JSON.parse(planned.text).errors[0].pointer, '/steps/memcached/servers')
  }
  const submitted = await post('/setup/steps/welcome', `{"acceptTerms":${deep}}`)
  assert.deepEqual([submitted.status, JSON.parse(submitted.text).errors?.[0].pointer], [422, '/acceptTerms'])
})

test('a request with a key that is refused is answered once, and leaves nothing in the log', async () => {
  logged.length = 0
  const headers = { 'content-type': 'application/json' }
  for (const [index, body] of ['{"steps":{"x":{}}}', '[]'].entries()) {
    const keyed = { method: 'POST', body, headers: { ...headers, 'idempotency-key': `refused-${index}` } }
    const refused = await ask('/setup/plan', script, keyed)
    assert.deepEqual([refused.status, refused.type], [422, 'application/problem+json'])
    const again = await ask('/setup/plan', script, keyed)
    assert.deepEqual([again.status, again.text], [422, refused.text])
    assert.equal(again.headers['idempotent-replayed'], 'true')
    assert.equal(
      (await ask('/setup/plan', browser, { ...keyed, headers: { ...headers, 'idempotency-key': `page-${index}` } }))
        .status,
      422
    )
  }
  assert.deepEqual(logged, [])
})
