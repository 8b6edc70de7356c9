import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fipsModeOf, type KeyStoreEvidence } from './evidence.ts'

const token = {
  slot: 3,
  label: 'HSMoDnFIPS',
  serial: '1234567890123',
  manufacturer: 'Safenet, Inc.',
  model: 'Cryptovisor7',
  firmware: '7.1',
  flags: [],
  storage: { total: null, free: null },
  maxSessions: null
}
const evidence: KeyStoreEvidence = {
  at: '2026-11-23T12:00:00.000Z',
  profile: 'gemalto-safenet',
  module: { path: '/usr/lib/a.so', sha256: null, bytes: 1 },
  library: null,
  ranAs: null,
  token,
  loggedIn: true,
  ivMode: 'token-iv',
  mechanisms: [],
  keyWraps: [],
  roundTrips: [],
  times: [],
  stopped: null
}

test('a token that makes its own IV is in FIPS mode, one that takes ours is not', () => {
  assert.equal(fipsModeOf(evidence, token.serial), true)
  assert.equal(fipsModeOf({ ...evidence, ivMode: 'caller-iv' }, token.serial), false)
})

test('nothing is said of another token, of a software store, or before a login', () => {
  assert.equal(fipsModeOf(evidence, '999'), null)
  assert.equal(fipsModeOf({ ...evidence, profile: 'nss' }, token.serial), null)
  assert.equal(fipsModeOf({ ...evidence, ivMode: null }, token.serial), null)
  assert.equal(fipsModeOf(null, token.serial), null)
})
