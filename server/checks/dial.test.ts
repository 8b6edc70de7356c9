import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ResolvedAddress, resolveAddress } from './address.ts'
import { DialError, dial, readUntil } from './dial.ts'
import { deadPort, drippingPeer, floodingPeer, httpPeer, peer, resetPeer, silentPeer } from './testing.ts'

const here: ResolvedAddress = { host: '127.0.0.1', addresses: ['127.0.0.1'], loopback: true }
const problem = (expected: string) => (thrown: unknown) => thrown instanceof DialError && thrown.problem === expected

test('a name becomes addresses, and says whether they stay on this machine', async () => {
  assert.deepEqual(await resolveAddress('127.0.0.1'), here)
  assert.equal((await resolveAddress('localhost'))?.loopback, true)
  assert.equal((await resolveAddress('[::1]'))?.loopback, true)
  assert.equal((await resolveAddress('192.0.2.1'))?.loopback, false)
  assert.equal((await resolveAddress('::ffff:192.0.2.1'))?.loopback, false)
  assert.equal(await resolveAddress('nobody.invalid'), null)
})

test('a connection goes to the addresses that were resolved, whatever the name says now', async () => {
  const { port } = await silentPeer()
  const socket = await dial({ host: 'elsewhere.invalid', addresses: ['127.0.0.1'], loopback: true }, port)
  assert.equal(socket.remoteAddress, '127.0.0.1')
  socket.destroy()
})

test('a port that nobody listens on is refused', async () => {
  await assert.rejects(dial(here, await deadPort()), problem('refused'))
})

test('an address that does not answer is silent within the deadline', async () => {
  const started = performance.now()
  // TEST-NET-1 (RFC 5737): nobody is there; some networks say so at once.
  await assert.rejects(dial({ host: '192.0.2.1', addresses: ['192.0.2.1'], loopback: false }, 9, 300), DialError)
  assert.ok(performance.now() - started < 1500)
})

test('a peer that says nothing, hangs up, drips or floods ends a read in time and in bounds', async () => {
  const never = () => null
  const read = async (port: number, most = 1000) => readUntil(await dial(here, port), never, { most, ms: 300 })
  await assert.rejects(read((await silentPeer()).port), problem('silent'))
  await assert.rejects(read((await drippingPeer()).port), problem('silent'))
  await assert.rejects(read((await resetPeer()).port), problem('closed'))
  await assert.rejects(read((await httpPeer()).port), problem('silent'))
  const flood = await floodingPeer()
  const before = process.memoryUsage().rss
  await assert.rejects(read(flood.port, 100_000), problem('silent'))
  assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20)
})

test('reading gives what the parser made of the bytes, however they were cut', async () => {
  const { port } = await peer((socket) => {
    socket.write('12')
    setImmediate(() => socket.write('34'))
  })
  const four = (bytes: Buffer) => (bytes.length < 4 ? null : bytes.toString())
  const socket = await dial(here, port)
  assert.equal(await readUntil(socket, four, { most: 100, ms: 1000 }), '1234')
  socket.destroy()
})
