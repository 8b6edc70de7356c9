import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeOf } from './host-place.ts'

test('loopback names listen on loopback, others on every interface, unknown names are null', async () => {
  assert.equal((await placeOf('127.0.0.1'))?.listenHost, '127.0.0.1')
  assert.equal((await placeOf('::1'))?.listenHost, '::1')
  assert.equal((await placeOf('localhost'))?.loopback, true)
  assert.equal((await placeOf('192.0.2.7'))?.listenHost, '0.0.0.0')
  assert.equal(await placeOf('no-such-host.invalid'), null)
})
