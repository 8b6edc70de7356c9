import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { baseConfig, type RunningService, run } from '../testing/service-process.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { atEnd } from '../testing/test-file.ts'
import { enrol, requestFor } from './testing/device.ts'
import { type DaeInstall, newDae } from './testing/install.ts'

let install: DaeInstall
let dae: RunningService
before(async () => {
  install = await newDae()
  dae = await install.start()
})

const register = (name: string) => install.register(dae, name)
/** What is on record about one device. */
async function recordOf(name: string) {
  const [row] = await install.sql(
    `SELECT (SELECT COUNT(*) FROM devices d WHERE d.name = r.device_name) AS devices,
       (SELECT COUNT(*) FROM outbox o WHERE o.event_key = r.device_name) AS events, r.used_at IS NOT NULL AS used,
       (SELECT GROUP_CONCAT(c.state ORDER BY c.created_at) FROM certificates c WHERE c.registration_id = r.id) AS states
     FROM registrations r WHERE r.device_name = ?`,
    [name]
  )
  return { ...row }
}
/** What the KMS was asked to sign for it. */
async function signaturesFor(name: string) {
  const [row] = await install.sql(`SELECT COUNT(*) AS made FROM kms_audit WHERE subject LIKE CONCAT('%/', ?)`, [name])
  return Number(row?.made)
}
const nothing = { devices: 0, events: 0, used: 0 }
const whole = { devices: 1, events: 1, used: 1 }

describe('the DAE on a bad day', { concurrency: true }, () => {
  describe('one thing after the other', { concurrency: 1 }, stories)
  test('the database is silent: 503 in 5 s, readiness in 2 s, and served when it speaks again', silence)
})

/** It waits for five seconds: beside the others, with its own DAE. */
async function silence(): Promise<void> {
  const proxy = await startProxy(install.login)
  atEnd(proxy.close)
  const base = await baseConfig(install.config.identity, { ...install.login, port: proxy.port })
  const silenced = await run('dae', { ...install.config, ...base })
  const [name, secret] = ['silent-1', await install.register(silenced, 'silent-1')]
  proxy.freeze()
  const after = async (answer: Promise<{ status: number }>) => {
    const started = performance.now()
    return { status: (await answer).status, ms: performance.now() - started }
  }
  const [enrolled, ready] = await Promise.all([
    after(enrol(silenced, { name, secret })),
    after(silenced.ask('/readyz'))
  ])
  proxy.restore()
  assert.deepEqual([enrolled.status, ready.status], [503, 503])
  assert.ok(enrolled.ms < 6000 && ready.ms < 2500, `${enrolled.ms} ms, ${ready.ms} ms`)
  assert.equal((await enrol(silenced, { name, secret })).status, 200)
}

function stories(): void {
  test('the KMS is away: 503 with Retry-After, nothing but a discarded serial, and the secret is good when it is back', async () => {
    const [name, secret] = ['patient-1', await register('patient-1')]
    install.proxies.kms.cut()
    const answer = await enrol(dae, { name, secret })
    assert.equal(answer.status, 503)
    assert.equal(answer.headers['retry-after'], '5')
    assert.match(answer.text, /^Try again later\. Quote [0-9a-f-]{36} when you ask for help\.\n$/)
    assert.deepEqual(await recordOf(name), { ...nothing, states: 'discarded' })
    assert.equal((await dae.ask('/.well-known/est/cacerts')).status, 200)
    const unready = await dae.ask('/readyz')
    assert.equal(unready.status, 503)
    assert.equal(JSON.parse(unready.text).parts.kms.ok, false)
    install.proxies.kms.restore()
    assert.equal((await enrol(dae, { name, secret })).status, 200)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'discarded,issued' })
    assert.equal((await dae.ask('/readyz')).status, 200)
  })

  test('the database is away: 503 at every door, and served again without a restart', async () => {
    const [name, secret] = ['patient-2', await register('patient-2')]
    install.proxies.database.cut()
    const answer = await enrol(dae, { name, secret })
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '5'])
    for (const path of ['/api/v1/registrations', '/api/v1/devices']) {
      assert.equal((await dae.ask(path, { by: install.identity('cp') })).status, 503, path)
    }
    assert.equal((await dae.ask('/readyz')).status, 503)
    assert.equal((await dae.ask('/healthz')).status, 200)
    install.proxies.database.restore()
    assert.equal((await enrol(dae, { name, secret })).status, 200)
  })

  test('the event cannot be written: nothing else is either, and the secret is good afterwards', async () => {
    const [name, secret] = ['whole-1', await register('whole-1')]
    const { database, user } = install.login
    const account = `'${user}'@'127.0.0.1'`
    await install.sql(`REVOKE INSERT ON ${database}.outbox FROM ${account}`)
    const answer = await enrol(dae, { name, secret })
    assert.equal(answer.status, 500)
    assert.doesNotMatch(answer.text, /outbox|denied/i)
    assert.deepEqual(await recordOf(name), { ...nothing, states: 'discarded' })
    await install.sql(`GRANT INSERT ON ${database}.outbox TO ${account}`)
    assert.equal((await enrol(dae, { name, secret })).status, 200)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'discarded,issued' })
  })

  test('the connection is cut after COMMIT: the device asks again and gets what was issued, once', async () => {
    const [name, secret] = ['cut-1', await register('cut-1')]
    const csr = requestFor(name)
    // Past the commit of the claim: the one that has the event before it.
    install.proxies.database.loseAnswer(/INSERT INTO outbox/)
    assert.equal((await enrol(dae, { name, secret, csr })).status, 503)
    assert.deepEqual(await recordOf(name), { ...nothing, states: 'discarded' })

    const outbox = install.proxies.database.hold(/INSERT INTO outbox/)
    const asked = enrol(dae, { name, secret, csr })
    const { letGo } = await outbox
    install.proxies.database.loseAnswer(/COMMIT/)
    letGo()
    assert.equal((await asked).status, 503)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'discarded,issued' })
    const signatures = await signaturesFor(name)
    assert.equal((await enrol(dae, { name, secret, csr })).status, 200)
    assert.equal(await signaturesFor(name), signatures)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'discarded,issued' })
  })

  test('a registration that is replaced while its enrolment is on its way: the old secret gets nothing', async () => {
    const [name, secret] = ['late-1', await register('late-1')]
    const signing = install.proxies.database.hold(/UPDATE registrations SET used_at/)
    const old = enrol(dae, { name, secret })
    const { letGo } = await signing
    const fresh = await register(name)
    letGo()
    assert.equal((await old).status, 409)
    assert.equal((await enrol(dae, { name, secret })).status, 401)
    assert.equal((await enrol(dae, { name, secret: fresh })).status, 200)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'issued' })
  })

  test('SIGTERM: the enrolment on its way is answered, then it ends, with nothing refused half-way', async () => {
    const [name, secret] = ['last-1', await register('last-1')]
    const outbox = install.proxies.database.hold(/INSERT INTO outbox/)
    const asked = enrol(dae, { name, secret })
    const { letGo } = await outbox
    const started = performance.now()
    dae.child.kill('SIGTERM')
    await dae.said(/"msg":"stopping"/)
    letGo()
    assert.equal((await asked).status, 200)
    assert.equal(await dae.ended, 0)
    assert.ok(performance.now() - started < 5000)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'issued' })
    dae = await install.start()
  })

  test('killed before the commit: only a reserved serial stays, and the claim lapses', async () => {
    const [name, secret] = ['killed-1', await register('killed-1')]
    const outbox = install.proxies.database.hold(/INSERT INTO outbox/)
    const asked = enrol(dae, { name, secret }).catch((thrown: Error) => thrown)
    await outbox
    dae.child.kill('SIGKILL')
    await dae.ended
    assert.ok((await asked) instanceof Error)
    dae = await install.start()
    assert.deepEqual(await recordOf(name), { ...nothing, states: 'reserved' })
    assert.equal((await enrol(dae, { name, secret })).status, 409)
    // Ten seconds later, without waiting for them.
    await install.sql(
      'UPDATE registrations SET claimed_until = claimed_until - INTERVAL 11 SECOND WHERE device_name = ?',
      [name]
    )
    assert.equal((await enrol(dae, { name, secret })).status, 200)
    assert.deepEqual(await recordOf(name), { ...whole, states: 'reserved,issued' })
  })

  test('its log has no secret, however the day went', async () => {
    const secret = await register('quiet-1')
    const answer = await enrol(dae, { name: 'quiet-1', secret: `${secret}` })
    assert.equal(answer.status, 200)
    await enrol(dae, { name: 'quiet-1', secret: `wrong-${secret}` })
    const output = dae.output()
    assert.match(output, /simpleenroll/)
    const authorization = Buffer.from(`quiet-1:${secret}`).toString('base64')
    for (const hidden of [secret, authorization.slice(0, 40), install.login.password]) {
      assert.ok(hidden.length > 20)
      assert.ok(!output.includes(hidden))
    }
  })

  test('--check-config: 0 for a good one, 2 and every problem for a bad one, without a connection to anything', async () => {
    const good = await run('dae', install.config, '--check-config')
    assert.equal(await good.ended, 0)
    const { tenant, ...lacking } = install.config
    const bad = await run('dae', Object.assign(lacking, { memcached: 7, nonsense: tenant }), '--check-config')
    assert.equal(await bad.ended, 2)
    for (const problem of [/tenant/, /memcached/, /nonsense/]) assert.match(bad.output(), problem)
  })
}
