import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressProblem, serviceAddress, typedAddress } from './addresses.ts'

test('one address without a port gives every service its own fixed port', () => {
  const typed = 'https://Host.Example/'
  assert.equal(serviceAddress('kms', typed).address, 'https://host.example:9443')
  assert.equal(serviceAddress('dae', typed).address, 'https://host.example:9444')
  assert.equal(serviceAddress('mqs', typed).address, 'https://host.example:9445')
  assert.equal(serviceAddress('cp', typed).address, 'https://host.example:9446')
})

test("a typed port is taken as it is, the scheme's own one too", () => {
  assert.equal(serviceAddress('kms', 'https://kms:8443').port, 8443)
  assert.equal(serviceAddress('kms', 'https://kms:443').port, 443)
  assert.equal(serviceAddress('kms', 'http://kms:80').address, 'https://kms:80')
  assert.equal(addressProblem('https://kms:0'), 'Port must be 1–65535.')
})

test('IPv6 addresses keep their brackets in addresses and lose them in hosts', () => {
  assert.deepEqual(typedAddress('https://[::1]:9443'), { scheme: 'https', host: '::1', port: 9443 })
  assert.equal(serviceAddress('cp', 'https://[::1]').address, 'https://[::1]:9446')
})
