import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedSandbox } from '../../../sandbox/testing.ts'
import { deadPort, firstTrouble, httpPeer, silentPeer, verdicts } from '../../checks/testing.ts'
import { serversAnswer } from './checks.ts'
import { memcachedStep } from './step.ts'

const { memcached } = await sharedSandbox(['memcached'])

function fieldsOf(raw: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const parsed = memcachedStep.parse(raw)
  return parsed.ok ? {} : parsed.fields
}

test('servers come in lines or with commas, the port may be left out, and each counts once', () => {
  const parsed = memcachedStep.parse({ servers: 'cache-1\ncache-2:11212, 127.0.0.1', prefix: '' })
  assert.ok(parsed.ok)
  assert.deepEqual(parsed.submission.values, { servers: ['cache-1:11211', 'cache-2:11212', '127.0.0.1:11211'] })
  assert.deepEqual(fieldsOf({ servers: 'Cache:11211 cache' }), { servers: 'Memcached Servers: each server once.' })
  assert.deepEqual(fieldsOf({ servers: ' ' }), { servers: 'You must provide a value for Memcached Servers.' })
  assert.deepEqual(fieldsOf({ servers: 'cache:0' }), { servers: '"cache:0" is not host:port.' })
})

test('a prefix has no spaces and at most 32 characters', () => {
  assert.deepEqual(fieldsOf({ servers: 'a', prefix: 'my keys' }), { prefix: 'Key Prefix must have no spaces.' })
  assert.deepEqual(fieldsOf({ servers: 'a', prefix: 'x'.repeat(33) }), {
    prefix: 'Key Prefix must have at most 32 characters.'
  })
})

test('a living server tells its version, and keeps and forgets a nonce', async () => {
  const { findings } = await verdicts(serversAnswer, { servers: [memcached.server], prefix: 'test:' })
  assert.match(findings[0]?.say ?? '', /^127\.0\.0\.1:\d+: memcached 1\.\d+\.\d+, kept and forgot a nonce\.$/)
})

test('each server that does not answer is named, within the deadline; those that do are not', async () => {
  const [dead, silent, http] = await Promise.all([deadPort(), silentPeer(), httpPeer()])
  const started = performance.now()
  const servers = [memcached.server, `127.0.0.1:${dead}`, silent.server, http.server, 'nobody.invalid:11211']
  const { findings } = await verdicts(serversAnswer, { servers, prefix: undefined })
  const trouble = firstTrouble(findings)
  assert.deepEqual([trouble?.verdict, trouble?.field], ['fail', 'servers'])
  assert.ok(!trouble?.say.includes(memcached.server))
  for (const server of servers.slice(1)) assert.ok(trouble?.say.includes(server), server)
  assert.match(trouble?.say ?? '', new RegExp(`${silent.server} did not answer\\.`))
  assert.ok(performance.now() - started < 4000)
})
