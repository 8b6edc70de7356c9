import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { sharedSandbox } from '../../sandbox/testing.ts'
import { openCache } from './cache.ts'
import { openCacheNode } from './cache-node.ts'

const { memcached } = await sharedSandbox(['memcached'])
const prefix = `t${randomBytes(5).toString('hex')}:`

async function peer(greet: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    greet(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}

test('what is set is got until it is deleted, under the prefix', async () => {
  const cache = openCache([memcached.server], prefix)
  assert.equal(await cache.get('a'), undefined)
  assert.equal(await cache.set('a', 'one', 60), true)
  assert.equal(await cache.get('a'), 'one')
  const other = openCache([memcached.server], `${prefix}x`)
  assert.equal(await other.get('a'), undefined)
  assert.equal(await cache.delete('a'), true)
  assert.equal(await cache.get('a'), undefined)
  cache.close()
  other.close()
})

test('values and keys that memcached would not take are a miss, not an error', async () => {
  const cache = openCache([memcached.server], prefix)
  assert.equal(await cache.set('big', 'x'.repeat(2 * 2 ** 20), 60), false)
  assert.equal(await cache.set('two words\r\nset evil 0 0 1', 'x', 60), false)
  assert.equal(await cache.get('evil'), undefined)
  assert.equal(await cache.set('good', 'x', 60), true, 'and the server is not blamed for it')
  cache.close()
})

test('a dead server costs its own keys only', async () => {
  const dead = '127.0.0.1:1'
  const cache = openCache([memcached.server, dead], prefix)
  const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)
  const kept: string[] = []
  for (const key of keys) if (await cache.set(key, 'v', 60)) kept.push(key)
  assert.ok(kept.length > 5 && kept.length < 35, `${kept.length} of 40 on the living server`)
  for (const key of kept) assert.equal(await cache.get(key), 'v')
  assert.deepEqual(await cache.versions(), { [memcached.server]: '1.6.18', [dead]: null })
  cache.close()
})

test('a silent server costs 300 ms once, then nothing for a second, and is tried again', async () => {
  let connections = 0
  const server = await peer(() => {
    connections++
  })
  const cache = openCache([server])
  const timed = async () => {
    const before = performance.now()
    assert.equal(await cache.get('k'), undefined)
    return performance.now() - before
  }
  const first = await timed()
  assert.ok(first >= 280 && first < 1000, `${first}`)
  for (let call = 0; call < 20; call++) assert.ok((await timed()) < 50)
  assert.equal(connections, 1)
  await setTimeout(1000)
  assert.ok((await timed()) >= 280)
  assert.equal(connections, 2)
  cache.close()
})

test('nothing of a failed server is left: no timer, no socket, no ping', async () => {
  const cache = openCache(['127.0.0.1:1'])
  await Promise.all(Array.from({ length: 10 }, (_, index) => cache.get(`k${index}`)))
  cache.close()
  await setTimeout(50)
  const left = process.getActiveResourcesInfo().filter((what) => /Timeout|Socket|Connect/.test(what))
  assert.deepEqual(left, [])
})

test('a server that comes back is used again within a second or so', async () => {
  let up = false
  const server = await peer((socket) => {
    if (!up) return socket.destroy()
    socket.on('data', (chunk) =>
      socket.write(chunk.toString().startsWith('get') ? 'VALUE k 0 1\r\nv\r\nEND\r\n' : 'OK\r\n')
    )
  })
  const cache = openCache([server])
  assert.equal(await cache.get('k'), undefined)
  up = true
  const end = performance.now() + 3000
  while ((await cache.get('k')) !== 'v') {
    assert.ok(performance.now() < end)
    await setTimeout(50)
  }
  cache.close()
})

test('the errors of one server say which it was and what happened', async () => {
  const silent = openCacheNode(await peer(() => {}), 100)
  await assert.rejects(silent.version(), { code: 'deadline-exceeded' })
  await assert.rejects(silent.version(), { code: 'service-unavailable', message: /did not answer a moment ago/ })
  silent.close()
  const refused = openCacheNode('127.0.0.1:1', 1000)
  await assert.rejects(refused.version(), { code: 'service-unavailable', message: /^127\.0\.0\.1:1/ })
  refused.close()
})
