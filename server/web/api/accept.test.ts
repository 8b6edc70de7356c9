/** The same addresses answer browsers with pages and scripts with JSON, whatever else was sent. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLog } from '../../../lib/log/log.ts'
import { serve, type Wizard } from '../../main.ts'
import { createToken } from './tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'accept-'))
const stateDir = join(folder, 'state')
let wizard: Wizard
let authorization = ''

before(async () => {
  const options = { host: '127.0.0.1', port: 0, allowedHosts: [], suggestions: {}, log: openLog('wizard', 'silent') }
  wizard = await serve({ ...options, stateDir, say: () => {} })
  authorization = `Bearer ${(await createToken(stateDir, 'setup', 60_000)).token}`
})
after(async () => {
  await wizard.close(false)
  rmSync(folder, { recursive: true, force: true })
})

const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

async function ask(path: string, accept: string, more: RequestInit = {}) {
  const headers = { accept, authorization, ...more.headers }
  const answer = await fetch(wizard.url + path, { redirect: 'manual', ...more, headers })
  return {
    status: answer.status,
    type: String(answer.headers.get('content-type')).split(';')[0],
    text: await answer.text()
  }
}

test('what can be read is a page for a browser, or leads to one, and JSON for a script', async () => {
  const addresses = ['steps/welcome', 'steps/kms', 'progress', 'plan', 'api', 'code'].map((path) => `/setup/${path}`)
  for (const path of [...addresses, '/help/errors', '/problems/locked', '/setup/review', '/nothing']) {
    const page = await ask(path, browser)
    assert.ok(page.status === 303 || page.type === 'text/html', `${path}: ${page.status} ${page.type}`)
    const json = await ask(path, 'application/json')
    assert.match(json.type ?? '', /^application\/(problem\+)?json$/, path)
    assert.equal(json.type === 'application/problem+json', json.status >= 400, path)
    assert.equal(typeof JSON.parse(json.text), 'object')
  }
})

test('a refusal has the same status in both', async () => {
  const wrong = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
  for (const path of [
    '/setup/steps/welcome',
    '/setup/steps/kms',
    '/setup/plan',
    '/setup/apply',
    '/setup/steps/review'
  ]) {
    const [page, json] = [await ask(path, browser, wrong), await ask(path, 'application/json', wrong)]
    assert.equal(page.type, 'text/html', path)
    assert.equal(json.type, 'application/problem+json', path)
    assert.equal(page.status, json.status, path)
  }
})

test('the door answers a script with problems, and what it lacks is said to it', async () => {
  const post = (path: string, body: object) =>
    ask(path, 'application/json', {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: wizard.url },
      body: JSON.stringify(body)
    })
  for (const [body, status] of [[{ code: '' }, 422] as const, [{ code: '0000' }, 401] as const]) {
    const refused = await post('/setup/code', body)
    assert.deepEqual([refused.status, refused.type], [status, 'application/problem+json'])
  }
  assert.equal((await ask('/setup/code', 'application/json')).status, 401)
})
