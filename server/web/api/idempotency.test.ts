/** Idempotency-Key over a real server: a route that counts what it does stands for a step. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { answerProblem } from '../../../lib/service/problems.ts'
import { honourIdempotencyKeys } from './idempotency.ts'

const folder = mkdtempSync(join(tmpdir(), 'idempotency-'))
after(() => rmSync(folder, { recursive: true }))
let count = 0

/** Does something once a request, and answers it with a secret; `gate` holds it until it is opened. */
async function started(t: TestContext, stateDir = join(folder, String(++count))) {
  const install = { id: 'i', stateDir, database: () => null }
  const app = Fastify()
  app.setErrorHandler(answerProblem)
  honourIdempotencyKeys(app, install)
  const did: unknown[] = []
  const gate = { open: Promise.resolve(), entered: Promise.withResolvers<void>() }
  const sent = Promise.withResolvers<void>()
  app.addHook('onSend', async () => sent.resolve())
  const fails = { now: false }
  app.post('/do', async (asked, reply) => {
    did.push(asked.body)
    gate.entered.resolve()
    await gate.open
    if (fails.now) throw new AppError('service-unavailable', 'not now')
    const showOnce = [
      { label: 'Id', value: 'p-1' },
      { label: 'Secret', value: 'only-once', secret: true }
    ]
    return reply.code(303).header('location', '/next').send({ ok: true, count: did.length, showOnce })
  })
  app.post('/page', async (_asked, reply) => reply.type('text/html').send(`<p>${did.push('page')}`))
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => app.close())
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const post = async (key: string | null, body: object, path = '/do') => {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const answer = await fetch(url + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { ...headers, ...(key === null ? {} : { 'idempotency-key': key }) },
      body: JSON.stringify(body)
    })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, text, json: text.startsWith('{') ? JSON.parse(text) : {} }
  }
  return { app, url, post, did, gate, stateDir, fails, sent: sent.promise }
}
const filesOf = (stateDir: string) => readdirSync(stateDir).map((name) => join(stateDir, name))

test('the same key and body get the first answer again, and the work is done once', async (t) => {
  const { post, did } = await started(t)
  const first = await post('"a-1"', { b: 1, a: { y: 2, x: 1 } })
  const again = await post('a-1', { a: { x: 1, y: 2 }, b: 1 })
  assert.deepEqual([first.status, again.status, did.length], [303, 303, 1])
  assert.equal(first.headers.get('idempotent-replayed'), null)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal(again.headers.get('location'), '/next')
  assert.equal(again.headers.get('content-type'), first.headers.get('content-type'))
  assert.equal(again.json.count, 1)
  assert.equal((await post('a-2', { b: 1 })).json.count, 2)
  assert.equal((await post(null, { b: 1 })).json.count, 3)
})

test('the same key with another body, or at another address, is refused with 422 and does nothing', async (t) => {
  const { post, did, gate } = await started(t)
  const waiting = Promise.withResolvers<void>()
  gate.open = waiting.promise
  const first = post('a', { pin: '1' })
  await gate.entered.promise
  const meanwhile = await post('a', { pin: '2' })
  waiting.resolve()
  await first
  for (const refused of [meanwhile, await post('a', { pin: '2' }), await post('a', { pin: '1' }, '/page')]) {
    assert.equal(refused.status, 422)
    assert.equal(refused.json.type, '/problems/invalid-input')
    assert.match(refused.json.detail, /sent before, with another request/)
  }
  assert.equal((await post('a', { pin: '1' })).status, 303, 'the first still stands')
  assert.equal(did.length, 1)
})

test('a hundred of the same at once are one, and all get its answer', async (t) => {
  const { post, did } = await started(t)
  const all = await Promise.all(Array.from({ length: 100 }, () => post('race', { a: 1 })))
  assert.equal(did.length, 1)
  assert.deepEqual([...new Set(all.map(({ status, json }) => `${status} ${json.count}`))], ['303 1'])
})

test('who lost the connection gets the answer, its secret too, and nobody gets the secret twice', async (t) => {
  const { url, post, did, gate, sent } = await started(t)
  const waiting = Promise.withResolvers<void>()
  gate.open = waiting.promise
  const lost = request(`${url}/do`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', 'idempotency-key': 'lost' }
  })
  lost.on('error', () => {})
  lost.end(JSON.stringify({ a: 1 }))
  await gate.entered.promise
  lost.destroy()
  await new Promise((closed) => lost.once('close', closed))
  waiting.resolve()
  await sent
  assert.equal((await post('lost', { a: 1 })).json.showOnce[1].value, 'only-once')
  assert.equal((await post('lost', { a: 1 })).json.showOnce[1].value, '(shown once, in the first answer)')
  const third = await post('other', { a: 2 })
  assert.equal(third.json.showOnce[1].value, 'only-once')
  const repeated = await post('other', { a: 2 })
  assert.equal(repeated.json.showOnce[1].value, '(shown once, in the first answer)')
  assert.equal(repeated.json.showOnce[0].value, 'p-1')
  assert.equal(did.length, 2)
})

test('what is kept outlives a restart, is ours alone, and holds neither secret nor body nor key', async (t) => {
  const before = await started(t)
  const key = randomUUID()
  await before.post(key, { password: 'hunter2-hunter2' })
  await before.app.close()
  const then = await started(t, before.stateDir)
  const again = await then.post(key, { password: 'hunter2-hunter2' })
  assert.deepEqual([again.status, again.json.count, then.did.length], [303, 1, 0])
  assert.equal((await then.post(key, { password: 'another' })).status, 422)
  for (const path of filesOf(then.stateDir)) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path)
    const text = readFileSync(path, 'utf8')
    for (const secret of ['only-once', 'hunter2', key]) assert.equal(text.includes(secret), false, path)
  }
})

test('after a 5xx the same key tries again; after a day a key is new', async (t) => {
  const { post, did, fails } = await started(t)
  fails.now = true
  assert.equal((await post('x', {})).status, 503)
  assert.equal((await post('x', { other: 1 })).status, 422)
  fails.now = false
  assert.deepEqual([(await post('x', {})).status, (await post('x', {})).status, did.length], [303, 303, 2])
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 24 * 3_600_000 + 1 })
  assert.equal((await post('x', { other: 1 })).status, 303)
})

test('a page is not kept, and a key that is none is refused', async (t) => {
  const { post, did } = await started(t)
  await post('page', {}, '/page')
  await post('page', {}, '/page')
  assert.equal(did.length, 2)
  assert.equal((await post('k'.repeat(256), {})).status, 422)
  assert.equal((await post('two words', {})).status, 422)
  assert.equal(did.length, 2)
})
