/** What a crafted request must not do to the wizard: methods, spellings, bodies and names that nobody sends by accident. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLog } from '../lib/log/log.ts'
import { printable } from './cli/console.ts'
import { serve, type Wizard } from './main.ts'
import { type Asked, type Door, openDoor } from './testing/door.ts'

const folder = mkdtempSync(join(tmpdir(), 'ks-guards-'))
let wizard: Wizard
let door: Door
const json = { accept: 'application/json', 'content-type': 'application/json' }

before(async () => {
  const said: string[] = []
  wizard = await serve({
    stateDir: join(folder, 'state'),
    host: '127.0.0.1',
    port: 0,
    allowedHosts: [],
    suggestions: {},
    log: openLog('wizard', 'silent'),
    say: (line) => said.push(line)
  })
  door = openDoor(wizard.url)
  const line = said.find((one) => one.startsWith('Setup code:')) ?? ''
  await door.enterAsScript(line.slice('Setup code:'.length).trim())
})
after(async () => {
  await wizard?.close(false)
  rmSync(folder, { recursive: true, force: true })
})

const asScript = (asked: Asked = {}): Asked => ({
  ...asked,
  headers: { ...json, authorization: `Bearer ${door.secrets().bearer}`, ...asked.headers }
})
const standing = async () => (await door.document('/setup/progress')).text

test('other methods and spellings of an address reach no step', async () => {
  const before = await standing()
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    for (const path of ['/setup/steps/welcome', '/setup/session', '/']) {
      const { status } = await door.ask(path, asScript({ method, body: '{"acceptTerms":true}' }))
      assert.ok([400, 404, 405].includes(status), `${method} ${path}: ${status}`)
    }
  }
  const spellings = ['welcome/', 'welcome//', 'WELCOME', 'welcome%00', 'welcome%2f', 'welcome;x', '%77elcome/..', '.']
  for (const spelling of spellings) {
    const path = `/setup/steps/${spelling}`
    const { status } = await door.ask(path, asScript({ method: 'POST', body: '{"acceptTerms":true}' }))
    assert.ok(status === 404 || status === 400, `POST ${path}: ${status}`)
  }
  assert.equal(await standing(), before)
})

test('HEAD is answered like GET and to the same callers; GET of a check runs none', async () => {
  assert.equal((await door.ask('/setup/steps/welcome', { method: 'HEAD' })).status, 401)
  assert.equal((await door.ask('/setup/steps/welcome', asScript({ method: 'HEAD' }))).status, 200)
  const checked = await door.ask('/setup/steps/welcome/check', asScript())
  assert.deepEqual([checked.status, checked.headers.location], [303, '/setup/steps/welcome'])
})

test('a body is what its type says, or nothing', async () => {
  const before = await standing()
  const types = ['application/jsonx', 'application/json/x', 'text/json', 'multipart/form-data; boundary=x', '', 'a b']
  for (const type of types) {
    const { status } = await door.ask(
      '/setup/steps/welcome',
      asScript({ method: 'POST', headers: { 'content-type': type }, body: '{"acceptTerms":true}' })
    )
    assert.ok(status === 415 || status === 422 || status === 400, `${type}: ${status}`)
  }
  const asForm = { 'content-type': 'application/x-www-form-urlencoded' }
  const form = { method: 'POST', headers: asForm, body: '{"acceptTerms":true}' }
  assert.equal((await door.ask('/setup/steps/welcome', asScript(form))).status, 422)
  assert.equal(await standing(), before)
})

test('a field with the name of something else is an unknown field, at Test and at Next', async () => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', '__defineGetter__']) {
    for (const path of ['/setup/steps/welcome/check', '/setup/steps/welcome']) {
      const body = JSON.stringify({ acceptTerms: true, [name]: 'x' })
      const { status, text } = await door.ask(path, asScript({ method: 'POST', body }))
      assert.equal(status, 422, `${path} ${name}: ${text}`)
      assert.match(text, new RegExp(`There is no field named ${name}`))
    }
  }
  const asForm = { 'content-type': 'application/x-www-form-urlencoded' }
  const form = { method: 'POST', headers: asForm, body: 'acceptTerms=on&__proto__=x&constructor=y' }
  assert.equal((await door.ask('/setup/steps/welcome/check', asScript(form))).status, 422)
})

test('values of a hundred thousand levels are refused by script and by form, and the wizard goes on', async () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  for (const accept of ['application/json', 'text/html']) {
    const body = `{"acceptTerms":${deep}}`
    const { status, text } = await door.ask(
      '/setup/steps/welcome/check',
      asScript({ method: 'POST', headers: { accept }, body })
    )
    assert.ok(status >= 400 && status < 500, `${accept}: ${status} ${text.slice(0, 200)}`)
  }
  assert.equal((await door.document('/setup/progress')).status, 200)
})

test('answers of every kind may be kept nowhere and framed by nobody', async () => {
  const ways = [
    door.ask('/setup/steps/welcome', asScript({ headers: { accept: 'text/html' } })),
    door.ask('/setup/steps/welcome', asScript()),
    door.ask('/setup/steps/welcome/check', asScript({ method: 'POST', headers: { accept: 'text/html' }, body: '{}' })),
    door.ask('/setup/steps/nothing', asScript({ headers: { accept: 'text/html' } })),
    door.ask('/setup/steps/kms', asScript({ method: 'POST', body: '{}' })),
    door.ask('/setup/code', { headers: { accept: 'text/html' } }),
    door.ask('/setup/steps/welcome', { headers: { accept: 'application/json' } })
  ]
  for (const { asked, status, headers } of await Promise.all(ways)) {
    assert.equal(headers['cache-control'], 'no-store', `${asked} ${status}`)
    assert.match(String(headers['content-security-policy']), /frame-ancestors 'none'/, `${asked} ${status}`)
    assert.equal(headers['x-content-type-options'], 'nosniff', `${asked} ${status}`)
  }
})

test('guessing the code is slowed down, for browsers and scripts', async () => {
  for (const path of ['/setup/session', '/setup/code']) {
    const guesses = await Promise.all(
      Array.from({ length: 25 }, () =>
        door.ask(path, { method: 'POST', headers: { ...json, origin: wizard.url }, body: '{"code":"0000"}' })
      )
    )
    const limited = guesses.filter(({ status }) => status === 429)
    assert.ok(limited.length >= 4, `${path}: ${limited.length} of 25`)
    assert.match(limited[0]?.text ?? '', /Too many requests/)
  }
})

test('a terminal is told no more than text, whatever a label or a peer says', () => {
  assert.equal(
    printable('slot 3 holds "\u001b[2J\u001b]0;x\u0007evil\r\n\tnext\u009b31m"'),
    'slot 3 holds "[2J]0;xevil\n\tnext31m"'
  )
})

test('pages and assets go out compressed to who takes it', async () => {
  for (const path of ['/public/keyscaler.css', '/public/wizard.js', '/setup/code', '/help/errors']) {
    const asked = { headers: { accept: 'text/html', 'accept-encoding': 'gzip' } }
    const { status, headers } = await door.ask(path, asked)
    assert.deepEqual([status, headers['content-encoding']], [200, 'gzip'], path)
  }
})
