import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { openBroker } from '../../lib/broker/broker.ts'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { newIdentities } from '../testing/identities.ts'
import { baseConfig, type RunningService, run } from '../testing/service-process.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { atEnd } from '../testing/test-file.ts'
import { idsOf, newOutbox, recordsOf, relayed, write } from './testing/outbox-database.ts'

const [{ mariadb, kafka }, { identity, foreign }] = await Promise.all([
  sharedSandbox(['mariadb', 'kafka']),
  newIdentities()
])
const { pool, login } = await newOutbox()
const database = await startProxy(mariadb)
atEnd(database.close)
const [deviceTopic, probeTopic] = [freshName('devices'), freshName('probes')]

async function configFor(brokers: readonly string[]) {
  return {
    ...(await baseConfig(identity('mqs'), { ...login, port: database.port })),
    kafka: { brokers, security: 'PLAINTEXT' },
    deviceTopic,
    probeTopic
  }
}
const config = await configFor(kafka.brokers)
const get = (mqs: RunningService, path: string) => mqs.ask(path, { by: identity('cp') })
const lag = async (mqs: RunningService) => JSON.parse((await get(mqs, '/api/v1/lag')).text)

/** Asks until it is so; the answer. */
async function until<T>(ask: () => Promise<T>, so: (answer: T) => boolean, withinMs = 10_000): Promise<T> {
  const end = performance.now() + withinMs
  for (;;) {
    const answer = await ask()
    if (so(answer)) return answer
    assert.ok(performance.now() < end, `not within ${withinMs} ms: ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

// Both wait most of the time: side by side.
describe('the MQS', { concurrency: true }, () => {
  describe('in service', { concurrency: 1 }, inService)
  describe('while its broker does not answer', { concurrency: 1 }, withoutBroker)
})

function inService(): void {
  let mqs: RunningService
  before(async () => {
    const broker = openBroker({ brokers: kafka.brokers, security: 'PLAINTEXT' })
    const plan = { partitions: 1, replication: 1 }
    await broker.createTopics([
      { topic: deviceTopic, ...plan },
      { topic: probeTopic, ...plan }
    ])
    await broker.close()
    mqs = await run('mqs', config)
  })

  test('every route asks for a certificate of the internal CA and for a role', async () => {
    const routes = [
      ['POST', '/api/v1/probe-events', ['wizard']],
      ['GET', '/api/v1/events/:eventId', ['wizard', 'cp']],
      ['GET', '/api/v1/lag', ['wizard', 'cp']]
    ] as const
    const source = readFileSync(new URL('./api.ts', import.meta.url), 'utf8')
    assert.deepEqual(
      source.match(/'\/api\/[^']*'/g),
      routes.map(([, path]) => `'${path}'`)
    )
    for (const [method, path, allowed] of routes) {
      assert.equal((await mqs.ask(path, { method })).status, 401, path)
      assert.equal((await mqs.ask(path, { method, by: foreign })).status, 401, path)
      for (const role of ['wizard', 'kms', 'dae', 'mqs', 'cp'] as const) {
        const { status } = await mqs.ask(path, { method, by: identity(role) })
        const passes = (allowed as readonly string[]).includes(role)
        assert.ok(passes ? [200, 201, 404].includes(status) : status === 403, `${path} ${role} ${status}`)
      }
    }
  })

  test('a probe event travels from the outbox to Kafka, and its way can be followed', async (context) => {
    const started = performance.now()
    const { status, text } = await mqs.ask('/api/v1/probe-events', { method: 'POST', by: identity('wizard') })
    assert.equal(status, 201)
    const { eventId } = JSON.parse(text)
    const fate = await until(
      async () => JSON.parse((await get(mqs, `/api/v1/events/${eventId}`)).text),
      ({ publishedAt }) => publishedAt !== null
    )
    context.diagnostic(`outbox to Kafka in ${Math.round(performance.now() - started)} ms`)
    assert.deepEqual(fate, { eventId, publishedAt: fate.publishedAt, parkedBecause: null })
    const records = await recordsOf({ brokers: kafka.brokers, security: 'PLAINTEXT' }, probeTopic, 2)
    assert.ok(idsOf(records).includes(eventId))
    assert.equal((await get(mqs, '/api/v1/events/none')).status, 404)
    const { waiting, parked, problem, role } = await lag(mqs)
    assert.deepEqual({ waiting, parked, problem, role }, { waiting: 0, parked: 0, problem: null, role: 'relaying' })
  })

  test('killed between sending and marking: the next one sends again, with the same event id', async () => {
    const mark = database.hold(/UPDATE outbox SET published_at/)
    const [eventId] = await write(pool, [{ topic: deviceTopic, key: 'killed-1' }])
    await mark
    mqs.child.kill('SIGKILL')
    await mqs.ended
    mqs = await run('mqs', config)
    await relayed(pool, [String(eventId)])
    const records = await recordsOf({ brokers: kafka.brokers, security: 'PLAINTEXT' }, deviceTopic, 2)
    assert.deepEqual(idsOf(records), [eventId, eventId])
  })

  test('the database goes and comes back: 503 meanwhile, then it relays without a restart', async () => {
    database.cut()
    const unready = await until(
      () => mqs.ask('/readyz'),
      ({ status }) => status === 503
    )
    assert.equal(JSON.parse(unready.text).parts.database.ok, false)
    assert.equal((await get(mqs, '/api/v1/lag')).status, 503)
    const ids = await write(pool, [{ topic: deviceTopic, key: 'back-1' }])
    database.restore()
    await relayed(pool, ids, 5000)
    await until(
      () => mqs.ask('/readyz'),
      ({ status }) => status === 200
    )
  })

  test('SIGTERM: what is on its way is marked, then it ends', async () => {
    const mark = database.hold(/UPDATE outbox SET published_at/)
    const ids = await write(pool, [{ topic: deviceTopic, key: 'last-1' }])
    const { letGo } = await mark
    const started = performance.now()
    mqs.child.kill('SIGTERM')
    await mqs.said(/"msg":"stopping"/)
    letGo()
    assert.equal(await mqs.ended, 0)
    assert.ok(performance.now() - started < 5000)
    await relayed(pool, ids, 0)
    assert.ok(!mqs.output().includes(login.password))
  })

  test('--check-config: 0 for a good one, 2 and every problem for a bad one', async () => {
    const good = await run('mqs', config, '--check-config')
    assert.equal(await good.ended, 0)
    const bad = await run(
      'mqs',
      Object.assign({ ...config }, { kafka: { brokers: [] }, nonsense: 1 }),
      '--check-config'
    )
    assert.equal(await bad.ended, 2)
    for (const problem of [/kafka\.brokers/, /kafka\.security/, /nonsense/]) assert.match(bad.output(), problem)
  })
}

// librdkafka's mock cluster can be frozen and thawed, which is quicker than a real broker's restart.
function withoutBroker(): void {
  test('events wait, readiness says so, and both end without a restart; it stops in time even then', async () => {
    const cluster = await startSandbox({ parts: ['kafka'], kafka: 'mock' })
    atEnd(cluster.stop)
    const own = await newOutbox()
    const base = await baseConfig(identity('mqs'), own.login)
    const mqs = await run('mqs', { ...(await configFor(cluster.kafka.brokers)), ...base })
    const [first] = await write(own.pool, [{ topic: deviceTopic, key: 'a' }])
    await relayed(own.pool, [String(first)])
    assert.equal((await mqs.ask('/readyz')).status, 200)

    process.kill(cluster.kafka.child.pid, 'SIGSTOP')
    const waiting = await write(own.pool, [
      { topic: deviceTopic, key: 'a' },
      { topic: deviceTopic, key: 'b' }
    ])
    const unready = await until(
      () => mqs.ask('/readyz'),
      ({ status }) => status === 503
    )
    const { parts } = JSON.parse(unready.text)
    assert.equal(parts.database.ok, true)
    assert.match(parts.kafka.detail, /^events wait in the outbox: /)
    assert.equal((await lag(mqs)).waiting, 2)

    process.kill(cluster.kafka.child.pid, 'SIGCONT')
    await relayed(own.pool, waiting, 8000)
    await until(
      () => mqs.ask('/readyz'),
      ({ status }) => status === 200
    )

    process.kill(cluster.kafka.child.pid, 'SIGSTOP')
    await write(own.pool, [{ topic: deviceTopic, key: 'c' }])
    await until(
      () => mqs.ask('/readyz'),
      ({ status }) => status === 503
    )
    const started = performance.now()
    mqs.child.kill('SIGTERM')
    assert.equal(await mqs.ended, 0)
    assert.ok(performance.now() - started < 9000)
    process.kill(cluster.kafka.child.pid, 'SIGCONT')
  })
}
