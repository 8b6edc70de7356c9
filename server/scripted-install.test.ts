/**
 * The whole install by a script, over the real door: JSON with Gemalto SafeNet, forms with the software module. On the
 * way, everything that must be refused is sent too, and must change nothing.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { remainsOfSetup } from '../e2e/steps/setup-gone.ts'
import { type Answered, type Answers, bearerOf, type Sent, scriptedAnswers, send } from '../e2e/world/scripted.ts'
import { openWorld, type World } from '../e2e/world/world.ts'
import { readLunaState } from '../sandbox/luna/state.ts'
import { type StepId, stepIds } from './steps/step.ts'

const json = { 'content-type': 'application/json', accept: 'application/json', prefer: 'wait=300' }
const form = { 'content-type': 'application/x-www-form-urlencoded', prefer: 'wait=300' }

describe('a script installs by JSON with Gemalto SafeNet', { timeout: 240_000 }, () => {
  let world: World
  let bearer: { authorization: string }
  let answers: Readonly<Record<StepId, Answers>>
  const post = (path: string, body: unknown, headers: Sent['headers'] = { ...json, ...bearer }): Promise<Answered> =>
    send(world.wizard.url + path, { headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
  /** Where setup stands, with the revision of every step. */
  const standing = async (): Promise<string> => {
    const get = async (path: string) => {
      const headers = { accept: 'application/json', ...bearer }
      const { status, text } = await send(world.wizard.url + path, { method: 'GET', headers })
      assert.equal(status, 200)
      return text
    }
    const documents = await Promise.all(stepIds.map((id) => get(`/setup/steps/${id}`)))
    const revisions = documents.map((text) => JSON.parse(text).revision)
    return `${await get('/setup/progress')} ${revisions}`
  }

  before(async () => {
    world = await openWorld()
    answers = await scriptedAnswers(world, 'gemalto-safenet')
  })
  after(() => world.close())

  test('nobody gets in without the code, from another name or from another site', async () => {
    const { url, code } = world.wizard
    assert.equal((await post('/setup/steps/welcome', answers.welcome, json)).status, 401)
    assert.equal((await post('/setup/session', { code: '0000' }, json)).status, 401)
    const wrongToken = { ...json, authorization: 'Bearer wrong' }
    assert.equal((await post('/setup/steps/welcome', answers.welcome, wrongToken)).status, 401)
    for (const host of ['rebound.example', '127.0.0.1.rebound.example', 'localhost.', 'localhost@rebound.example']) {
      assert.equal((await post('/setup/session', { code }, { ...json, host })).status, 421, host)
      assert.equal((await send(`${url}/public/wizard.js`, { method: 'GET', headers: { host } })).status, 421, host)
    }
    const entering = { ...form, origin: 'https://evil.example' }
    assert.equal((await post('/setup/code', `code=${code}`, entering)).status, 403)

    bearer = await bearerOf(world)
    assert.equal((await post('/setup/session', { code }, json)).status, 401, 'the code works once')
  })

  test('a step before its turn is refused, and there is no twelfth', async () => {
    const before = await standing()
    for (const id of stepIds.slice(1)) {
      assert.equal((await post(`/setup/steps/${id}`, answers[id])).status, 409, id)
      assert.equal((await post(`/setup/steps/${id}/check`, answers[id])).status, 409, id)
    }
    assert.equal((await post('/setup/steps/review', {})).status, 404)
    assert.equal((await post('/setup/steps/__proto__', {})).status, 404)
    assert.equal(await standing(), before)
  })

  test('welcome and database', async () => {
    await accepted('welcome')
    await accepted('database')
  })

  test('bodies that are no answers change nothing: unknown, repeated, of the wrong kind, too large, malformed', async () => {
    const before = await standing()
    const good = { ...answers.kms, password: 'never-sent' }
    const urlEncoded = formOf(good)
    const refused: readonly (readonly [what: string, body: unknown, headers?: Sent['headers']])[] = [
      ['an unknown field', { ...good, evil: 1 }],
      ['an unknown field that looks like ours', { ...good, _evil: 1 }],
      ['no object', '[]'],
      ['null', 'null'],
      ['a number', '7'],
      ['half an object', '{"keyStore":'],
      ['nothing', ''],
      ['a prototype', '{"__proto__":{"keyStore":"nss"}}'],
      ['a constructor', '{"constructor":{"prototype":{"x":1}}}'],
      ['a list for text', { ...good, partition: ['HSMoDnFIPS', 'other'] }],
      ['an object for text', { ...good, partition: { $ne: '' } }],
      ['a number for text', { ...good, password: 12345678 }],
      ['a slot that is no number', { ...good, slot: '3; DROP TABLE' }],
      ['a slot below none', { ...good, slot: -1 }],
      ['half a slot', { ...good, slot: 3.5 }],
      ['a key store that is none', { ...good, keyStore: 'software' }],
      ['an address that is none', { ...good, kmsHost: 'https://user:secret@kms.example/path' }],
      ['a NUL in the address', { ...good, kmsHost: 'https://kms\0.example' }],
      ['too much', { ...good, partition: 'x'.repeat(300_000) }],
      ['a field twice', `${urlEncoded}&slot=4`, { ...form, ...bearer }],
      ['a key store twice', `${urlEncoded}&keyStore=nss`, { ...form, ...bearer }],
      ['a form that is too large', `partition=${'x'.repeat(300_000)}`, { ...form, ...bearer }],
      ['plain text', JSON.stringify(good), { ...bearer, 'content-type': 'text/plain' }],
      ['a multipart body', '--x--', { ...bearer, 'content-type': 'multipart/form-data; boundary=x' }],
      ['XML', '<kms/>', { ...bearer, 'content-type': 'application/xml' }]
    ]
    for (const [what, body, headers] of refused) {
      for (const path of ['/setup/steps/kms', '/setup/steps/kms/check']) {
        const { status, text } = await post(path, body, headers)
        assert.ok(status >= 400 && status < 500, `${what} to ${path}: ${status} ${text.slice(0, 300)}`)
      }
    }
    assert.equal(await standing(), before)
    assert.equal((await readLunaState(world.luna.confPath)).logins, 0, 'none of it cost a login')
  })

  test('what is missing is named as the guide names it, in a problem document', async () => {
    const { status, headers, text } = await post('/setup/steps/kms', { ...answers.kms, kmsHost: '' })
    assert.equal(status, 422)
    assert.match(String(headers['content-type']), /^application\/problem\+json/)
    assert.deepEqual(JSON.parse(text).errors, [
      { pointer: '/kmsHost', detail: 'You must provide a value for Kms Hostname.' }
    ])
  })

  test('the other nine steps, and then setup is gone', async () => {
    for (const id of stepIds.slice(2)) await accepted(id)
    assert.deepEqual(await remainsOfSetup(world.wizard.url), [])
    await allReady(world)
  })

  async function accepted(id: StepId): Promise<void> {
    const { status, headers, text } = await post(`/setup/steps/${id}`, answers[id])
    assert.equal(status, 303, `${id}: ${text}`)
    const next = stepIds[stepIds.indexOf(id) + 1]
    assert.equal(headers.location, next === undefined ? '/' : `/setup/steps/${next}`)
    for (const secret of world.secrets) assert.ok(!text.includes(secret), `${id} shows a secret`)
  }
})

describe('a script installs by forms with the software-only module', { timeout: 240_000 }, () => {
  let world: World
  before(async () => {
    world = await openWorld()
  })
  after(() => world.close())

  test('a page of another site cannot use the session of a browser', async () => {
    const { url, code } = world.wizard
    // A second code is not needed: the browser of this test spends the first one, the script gets the next.
    const entered = await send(`${url}/setup/code`, { headers: { ...form, origin: url }, body: `code=${code}` })
    assert.equal(entered.status, 303)
    const cookie = String(entered.headers['set-cookie']).split(';')[0] ?? ''
    assert.match(String(entered.headers['set-cookie']), /HttpOnly.*SameSite=Strict/)
    const page = await send(`${url}/setup/steps/welcome`, { method: 'GET', headers: { cookie, accept: 'text/html' } })
    const csrf = /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const submit = (headers: Sent['headers'], token: string) =>
      send(`${url}/setup/steps/welcome`, {
        headers: { ...form, cookie, ...headers },
        body: new URLSearchParams({ acceptTerms: 'on', _csrf: token }).toString()
      })
    assert.equal((await submit({ origin: 'https://evil.example' }, csrf)).status, 403)
    assert.equal((await submit({ origin: 'null' }, csrf)).status, 403)
    assert.equal((await submit({}, csrf)).status, 403)
    assert.equal((await submit({ origin: url }, '')).status, 403)
    assert.equal((await submit({ origin: url }, `${csrf}x`)).status, 403)
    assert.equal((await submit({ origin: url }, csrf)).status, 303)
  })

  test('the eleven steps, form-encoded with a bearer token', async () => {
    // A restarted wizard prints a new code.
    await world.wizard.stop()
    await world.restart()
    const bearer = await bearerOf(world)
    const answers = await scriptedAnswers(world, 'nss')
    for (const id of stepIds) {
      const sent = { headers: { ...form, ...bearer }, body: formOf(answers[id]) }
      const { status, text } = await send(`${world.wizard.url}/setup/steps/${id}`, sent)
      assert.equal(status, 303, `${id}: ${text}`)
    }
    assert.deepEqual(await remainsOfSetup(world.wizard.url), [])
    await allReady(world)
    for (const secret of world.secrets) assert.ok(!world.wizard.printed().includes(secret), 'a secret was logged')
  })
})

/** As a browser or curl sends it. */
function formOf(answers: Answers): string {
  const fields = Object.entries(answers).map(([name, value]) => [name, value === true ? 'on' : String(value)] as const)
  return new URLSearchParams(Object.fromEntries(fields)).toString()
}

async function allReady({ wizard }: World): Promise<void> {
  const { text } = await send(wizard.url, { method: 'GET', headers: { accept: 'application/json' } })
  const { verdict, complete } = JSON.parse(text)
  assert.deepEqual(verdict, { ok: true, text: 'All services run and are ready.' })
  assert.equal(complete.services.length, 4)
}
