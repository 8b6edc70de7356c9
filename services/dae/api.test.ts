import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { openPool, utcNow } from '../../lib/database/pool.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { newDatabase } from '../testing/database.ts'
import { newIdentities } from '../testing/identities.ts'
import { baseConfig, type RunningService, run } from '../testing/service-process.ts'
import { atEnd } from '../testing/test-file.ts'
import { openRegistrations, type Registrations } from './registrations.ts'

const [{ memcached }, { pool, loginOf }] = await Promise.all([sharedSandbox(['memcached']), newDatabase('dae')])
// Only what the DAE's own user may do is used here.
const login = await loginOf('dae')
const asDae = openPool(login)
atEnd(() => asDae.end())

async function license(places: number, notAfter = '2099-01-01'): Promise<void> {
  await pool.query('DELETE FROM licenses')
  await pool.query(`INSERT INTO licenses VALUES ('test', '', 'Example', ?, ?, ?)`, [places, notAfter, utcNow()])
}

describe('registrations', { concurrency: 1 }, () => {
  let registrations: Registrations
  const create = (deviceName: string, hours = 1) => registrations.create({ deviceName, hours, createdBy: 'test' })
  before(() => {
    registrations = openRegistrations(asDae, 'Example')
  })

  test('without a valid license nothing is registered', async () => {
    await assert.rejects(create('device-1'), { code: 'forbidden', message: /no valid license/ })
    await license(2, '2020-01-01')
    await assert.rejects(create('device-1'), { code: 'forbidden', message: /no valid license/ })
  })

  test('an unused one is replaced, in its place: the old secret is void', async () => {
    await license(2)
    const old = await create('device-1')
    const fresh = await create('device-1')
    assert.equal(await registrations.find('device-1', old.secret), null)
    assert.equal((await registrations.find('device-1', fresh.secret))?.id, fresh.id)
    assert.equal(await registrations.find('Device-1', fresh.secret), null)
    assert.equal((await registrations.list()).length, 1)
  })

  test('one that was used is not replaced', async () => {
    const { secret } = await create('device-1')
    await pool.query('UPDATE registrations SET used_at = ?', [utcNow()])
    await assert.rejects(create('device-1'), { code: 'conflict', message: /has enrolled already/ })
    assert.notEqual((await registrations.find('device-1', secret))?.usedAt, null)
  })

  test('the license limits how many; one that expired unused gives its place back', async () => {
    await create('device-2')
    await assert.rejects(create('device-3'), { code: 'forbidden', message: /allows 2 devices/ })
    await pool.query(`UPDATE registrations SET expires_at = '2020-01-01' WHERE device_name = 'device-2'`)
    await create('device-3')
    await assert.rejects(create('device-2'), { code: 'forbidden' })
  })

  test('of many at once, never more than the license allows', async () => {
    await license(5)
    const wanted = Array.from({ length: 12 }, (_, index) => `crowd-${index}`)
    const made = await Promise.allSettled(wanted.map((name) => create(name)))
    const secrets = made.filter(({ status }) => status === 'fulfilled').length
    const listed = (await registrations.list()).filter(({ deviceName }) => deviceName.startsWith('crowd-')).length
    assert.ok(secrets <= 3, `${secrets} made`)
    assert.equal(listed, secrets)
    const refused = made.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code)
    assert.deepEqual(new Set(refused), new Set(['forbidden']))
  })

  test('the same name many times at once: one registration, and one secret that is good', async () => {
    await license(100)
    const made = await Promise.all(Array.from({ length: 8 }, () => create('same-1')))
    const good = await Promise.all(made.map(({ secret }) => registrations.find('same-1', secret)))
    assert.equal(good.filter((found) => found !== null).length, 1)
  })

  test('no secret is kept', async () => {
    const { secret } = await create('kept-1')
    const [rows] = await pool.query('SELECT * FROM registrations')
    assert.ok(!JSON.stringify(rows).includes(secret))
    assert.ok(Buffer.from(secret, 'base64url').length >= 16)
  })
})

describe('the API', { concurrency: 1 }, () => {
  let dae: RunningService
  const identities = newIdentities()
  before(async () => {
    await license(1000)
    const { identity } = await identities
    const config = {
      ...(await baseConfig(identity('dae'), login)),
      kms: { address: 'https://127.0.0.1:1' },
      tenant: 'Example',
      memcached: { servers: [memcached.server], prefix: freshName('dae') },
      deviceTopic: 'devices'
    }
    dae = await run('dae', config)
  })

  const routes: readonly (readonly [method: string, path: string])[] = [
    ['POST', '/api/v1/registrations'],
    ['GET', '/api/v1/registrations'],
    ['GET', '/api/v1/devices']
  ]

  test('every route asks for a certificate of the internal CA and for a role, before it reads anything', async () => {
    const { identity, foreign } = await identities
    for (const [method, path] of routes) {
      const body = method === 'POST' ? { body: '{not json', headers: { 'content-type': 'application/json' } } : {}
      assert.equal((await dae.ask(path, { method, ...body })).status, 401, path)
      assert.equal((await dae.ask(path, { method, ...body, by: foreign })).status, 401, path)
      for (const role of ['kms', 'mqs', 'dae'] as const) {
        assert.equal((await dae.ask(path, { method, ...body, by: identity(role) })).status, 403, `${path} ${role}`)
      }
      for (const role of ['cp', 'wizard'] as const) {
        const { status } = await dae.ask(path, { method, ...body, by: identity(role) })
        assert.equal(status, method === 'POST' ? 400 : 200, `${path} ${role}`)
      }
    }
  })

  test('these are all its routes', () => {
    const source = readFileSync(new URL('./api.ts', import.meta.url), 'utf8')
    const found = [...source.matchAll(/app\.(\w+)\('(\/[^']*)'/g)].map(([, method, path]) => [
      method?.toUpperCase(),
      path
    ])
    assert.deepEqual(found, routes)
  })

  test('what is wrong with a registration is told by its field; names and unknown members are refused', async () => {
    const by = (await identities).identity('cp')
    const post = (body: object) => dae.ask('/api/v1/registrations', { by, body })
    const wrong: [object, string][] = [
      [{}, '/deviceName'],
      [{ deviceName: '' }, '/deviceName'],
      [{ deviceName: 'a b' }, '/deviceName'],
      [{ deviceName: '-a' }, '/deviceName'],
      [{ deviceName: 'a'.repeat(65) }, '/deviceName'],
      [{ deviceName: 'a\u202eb' }, '/deviceName'],
      [{ deviceName: 'ok-1', hours: 0 }, '/hours'],
      [{ deviceName: 'ok-1', hours: 1.5 }, '/hours'],
      [{ deviceName: 'ok-1', usedAt: null }, '/_']
    ]
    for (const [body, pointer] of wrong) {
      const { status, headers, text } = await post(body)
      assert.equal(status, 422, JSON.stringify(body))
      assert.match(String(headers['content-type']), /^application\/problem\+json/)
      assert.deepEqual(
        JSON.parse(text).errors.map((error: { pointer: string }) => error.pointer),
        [pointer]
      )
    }
    const { status, text } = await post({ deviceName: 'ok-1', hours: 2, by: 'ada@example.test' })
    assert.equal(status, 201)
    const { secret, ...registration } = JSON.parse(text)
    const listed = JSON.parse((await dae.ask('/api/v1/registrations', { by })).text).registrations
    assert.deepEqual(
      listed.find(({ deviceName }: { deviceName: string }) => deviceName === 'ok-1'),
      registration
    )
    assert.equal(registration.createdBy, 'ada@example.test')
    assert.equal(Date.parse(registration.expiresAt) - Date.parse(registration.createdAt), 7_200_000)
    assert.ok(!dae.output().includes(secret))
  })
})
