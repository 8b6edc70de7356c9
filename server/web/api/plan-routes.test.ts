/** Plan and apply over HTTP at the door of a wizard that has nothing yet; the whole install is in contract.test.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLog } from '../../../lib/log/log.ts'
import { serve, type Wizard } from '../../main.ts'
import { stepIds } from '../../steps/step.ts'
import { createToken } from './tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'plan-routes-'))
const stateDir = join(folder, 'state')
let wizard: Wizard
let tokens: { readonly read: string; readonly setup: string }

before(async () => {
  const options = { host: '127.0.0.1', port: 0, allowedHosts: [], suggestions: {}, log: openLog('wizard', 'silent') }
  wizard = await serve({ ...options, stateDir, say: () => {} })
  const made = await Promise.all([createToken(stateDir, 'read', 60_000), createToken(stateDir, 'setup', 60_000)])
  tokens = { read: made[0].token, setup: made[1].token }
})
after(async () => {
  await wizard.close(false)
  rmSync(folder, { recursive: true, force: true })
})

async function ask(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(wizard.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${tokens.setup}`,
      prefer: 'wait=60',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const text = await answer.text()
  return { status: answer.status, text, json: text.startsWith('{') ? JSON.parse(text) : {} }
}
const account = (fullName: string) => {
  const password = 'correct horse battery 9'
  return { tenant: 'acme', fullName, email: 'ada@acme.example', password, passwordAgain: password }
}

test('GET /setup/plan of nothing names every step, who may only read gets it too, and a browser gets a page', async () => {
  const { status, json } = await ask('/setup/plan', undefined, { authorization: `Bearer ${tokens.read}` })
  assert.equal(status, 200)
  assert.deepEqual([json.install, json.changed, json.steps], [null, true, [...stepIds]])
  assert.deepEqual([...new Set(json.items.map(({ action }: { action: string }) => action))], ['create'])
  assert.equal(json.items.find(({ step }: { step: string }) => step === 'kms').why, 'not answered yet')
  assert.equal((await ask('/setup/plan', undefined, { accept: '*/*' })).json.hash, json.hash)
  const page = await ask('/setup/plan', undefined, { accept: 'text/html' })
  assert.match(page.text, /<h1>Plan<\/h1>/)
  assert.ok(page.text.includes(json.hash))
})

test('what is wrong with the steps is told all at once, each under its place, before anything is planned', async () => {
  const wrong = {
    welcome: { acceptTerms: true, extra: 1 },
    database: { dbHost: { file: '/etc/shadow' }, dbPort: 99999 },
    review: {}
  }
  const { status, json, text } = await ask('/setup/plan', { steps: wrong })
  assert.equal(status, 422)
  assert.equal(json.type, '/problems/invalid-input')
  const places = json.errors.map(({ pointer }: { pointer: string }) => pointer)
  assert.deepEqual(places.sort(), [
    '/steps/database/dbHost',
    '/steps/database/dbPort',
    '/steps/review',
    '/steps/welcome/extra'
  ])
  assert.match(text, /is read from an answers file on the host only/)
  const missing = await ask('/setup/plan', { steps: { welcome: { acceptTerms: true } } })
  assert.equal(missing.status, 422)
  assert.ok(missing.json.errors.every(({ pointer }: { pointer: string }) => pointer.startsWith('/steps/database/')))
})

test('a slip is answered with what was meant, and a field that its choices leave out with why', async () => {
  const steps = { databse: {}, kafka: { partions: 3 }, kms: { keyStore: 'nss', slot: 3 } }
  const { status, json } = await ask('/setup/plan', { steps, skp: [] })
  const slip = [{ pointer: '/skp', detail: 'There is nothing named skp here. Did you mean skip?' }]
  assert.deepEqual([status, json.errors], [422, slip])
  const { json: wrong } = await ask('/setup/plan', { steps })
  const errors: readonly { pointer: string; detail: string }[] = wrong.errors
  assert.deepEqual(
    errors.map(({ pointer, detail }) => [pointer, /(Did you mean \w+\?|does not apply.*)$/.exec(detail)?.[0]]),
    [
      ['/steps/databse', 'Did you mean database?'],
      ['/steps/kafka/partions', 'Did you mean partitions?'],
      ['/steps/kms/slot', 'does not apply, since keyStore is nss: leave it out, or choose keyStore: gemalto-safenet.']
    ]
  )
})

test('apply needs the hash of a plan, takes no other member, and a token that may only read cannot apply', async () => {
  const none = await ask('/setup/apply', { steps: {} })
  assert.deepEqual([none.status, none.json.errors[0].pointer], [422, '/plan'])
  assert.equal((await ask('/setup/apply', { plan: 'x'.repeat(64) })).status, 422)
  const more = await ask('/setup/apply', { plan: '0'.repeat(64), force: true })
  assert.deepEqual(more.json.errors, [{ pointer: '/force', detail: 'There is nothing named force here.' }])
  const reader = { authorization: `Bearer ${tokens.read}` }
  assert.equal((await ask('/setup/apply', { plan: '0'.repeat(64) }, reader)).status, 403)
})

test('a body that is no object is refused wherever one is described: 422, and 400 where there is no JSON', async () => {
  const authorization = `Bearer ${tokens.setup}`
  const send = (path: string, init: RequestInit) =>
    fetch(wizard.url + path, {
      method: 'POST',
      ...init,
      headers: { accept: 'application/json', authorization, ...init.headers }
    })
  const json = { 'content-type': 'application/json' }
  const paths = ['plan', 'apply', 'session', 'steps/welcome', 'steps/welcome/check'].map((path) => `/setup/${path}`)
  for (const path of paths) {
    for (const body of ['[]', 'null', '"x"', '7']) {
      const answer = await send(path, { headers: json, body })
      const { detail } = (await answer.json()) as { readonly detail: string }
      assert.equal(answer.status, 422, `${path} ${body}`)
      assert.match(detail, /^(The body must be a JSON object\.|Send \{"code": "…"\}\.)$/, path)
    }
    assert.equal((await send(path, {})).status, 422, `${path} without a body`)
    for (const body of ['', '{'])
      assert.equal((await send(path, { headers: json, body })).status, 400, `${path} ${body}`)
  }
})

test('a plan of earlier is refused with 409, what has moved, and the plan of now', async () => {
  const steps = wholeSteps()
  const agreed = await ask('/setup/plan', { steps })
  assert.equal(agreed.status, 200, agreed.text)
  assert.equal(agreed.text.includes(steps.account.password), false)
  // The world moves: somebody accepts the terms.
  assert.equal((await ask('/setup/steps/welcome', { acceptTerms: true })).status, 200)
  const refused = await ask('/setup/apply', { plan: agreed.json.hash, steps })
  assert.equal(refused.status, 409)
  assert.equal(refused.json.type, '/problems/conflict')
  const now = await ask('/setup/plan', { steps })
  assert.equal(refused.json.plan.hash, now.json.hash)
  assert.deepEqual(
    refused.json.moved.map(({ was, is }: { was: { action: string }; is: { name: string; action: string } }) => [
      is.name,
      was.action,
      is.action
    ]),
    [['welcome', 'create', 'keep']]
  )
  const unknown = await ask('/setup/apply', { plan: '0'.repeat(64), steps })
  assert.deepEqual([unknown.status, unknown.json.moved, unknown.json.plan.hash], [409, undefined, now.json.hash])
  const page = await ask('/setup/apply', { plan: agreed.json.hash, steps }, { accept: 'text/html' })
  assert.equal(page.status, 409)
  assert.match(page.text, /<h1>Conflict<\/h1>[\s\S]*answers welcome: keep/)
})

test('JSON with a field that does not apply is refused; a form posts what it hides, and it is dropped', async () => {
  const database = { dbHost: 'db.example', dbCa: 'garbage' }
  const { status, json } = await ask('/setup/steps/database', database)
  assert.equal(status, 422)
  const told = (errors: readonly { pointer: string; detail: string }[]) =>
    errors.find(({ pointer }) => pointer === '/dbCa')?.detail
  assert.match(told(json.errors) ?? '', /^dbCa does not apply, since dbTls is not ticked/)
  const form = await fetch(`${wizard.url}/setup/steps/database`, {
    method: 'POST',
    headers: { accept: 'application/json', authorization: `Bearer ${tokens.setup}` },
    body: new URLSearchParams(database)
  })
  const { errors } = (await form.json()) as { errors: { pointer: string; detail: string }[] }
  assert.deepEqual([form.status, told(errors)], [422, undefined])
})

test('what stops an apply is a problem that names the step, and what was done before it stands', async () => {
  const steps = wholeSteps()
  const { json } = await ask('/setup/plan', { steps })
  const stopped = await ask('/setup/apply', { plan: json.hash, steps })
  assert.equal(stopped.json.type, '/problems/check-failed', stopped.text)
  assert.equal(stopped.status, 422)
  assert.deepEqual([stopped.json.stoppedAt, stopped.json.done], ['database', []])
  for (const { pointer } of stopped.json.errors) assert.match(pointer, /^\/steps\/database\//)
  const refused = await ask('/setup/steps/database', steps.database)
  assert.equal(refused.status, 422)
  for (const { json: problem, place } of [
    { json: stopped.json, place: '/steps/database/dbHost' },
    { json: refused.json, place: '/dbHost' }
  ]) {
    const [error] = problem.errors
    assert.deepEqual([error.pointer, error.code], [place, 'database.connects'])
    assert.match(error.remedy, /server runs/, 'what cures it stands with it')
  }
  assert.equal(stopped.text.includes(steps.database.dbPassword), false)
})

/** Nothing listens at these. */
function wholeSteps() {
  return {
    welcome: { acceptTerms: true },
    database: { dbHost: '127.0.0.1', dbPort: 1, dbName: 'keyscaler', dbUser: 'setup', dbPassword: 'never-sent-1' },
    kms: {
      keyStore: 'nss',
      nssFolder: join(folder, 'nss'),
      nssPassword: 'Software-Keys-9',
      nssPasswordAgain: 'Software-Keys-9',
      kmsHost: 'https://localhost:1443'
    },
    memcached: { servers: '127.0.0.1:1' },
    account: account('Ada Lovelace'),
    license: { license: 'a.b.c' },
    kafka: { brokers: '127.0.0.1:1', security: 'PLAINTEXT' },
    dae: { daeHost: 'https://localhost:1444' },
    mqs: { mqsHost: 'https://localhost:1445' },
    cp: { cpHost: 'https://localhost:1446' },
    complete: {}
  }
}
