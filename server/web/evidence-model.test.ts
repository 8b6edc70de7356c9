import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyStoreEvidence } from '../checks/key-store/evidence.ts'
import { evidenceModel } from './evidence-model.ts'

const nothing: KeyStoreEvidence = {
  at: '2026-03-01T10:42:09.000Z',
  profile: 'gemalto-safenet',
  module: { path: '/usr/lib/x.so', sha256: null, bytes: 0 },
  library: null,
  ranAs: null,
  token: null,
  loggedIn: false,
  ivMode: null,
  mechanisms: [],
  keyWraps: [],
  roundTrips: [],
  times: [],
  stopped: 'crashed in load'
}

test('what was not reached has no row', () => {
  const { facts, used, others } = evidenceModel(nothing)
  assert.deepEqual(
    facts.map(({ label, value }) => [label, value]),
    [
      ['Proved at', nothing.at],
      ['Library', '/usr/lib/x.so'],
      ['Login', 'none accepted'],
      ['Took', '0 ms'],
      ['Ended early', 'crashed in load']
    ]
  )
  assert.deepEqual([used, others], [[], []])
})

test('mechanisms that are used stand with number, sizes and uses, the others by name', () => {
  const use = (minKeySize: number, maxKeySize: number, flags: number) => ({ minKeySize, maxKeySize, flags })
  const { used, others } = evidenceModel({
    ...nothing,
    mechanisms: [
      { number: 0x1087, name: 'CKM_AES_GCM', use: use(16, 32, 0x300) },
      { number: 0x1041, name: 'CKM_ECDSA', use: use(256, 256, 0x2800) },
      { number: 0x2109, name: 'CKM_AES_KEY_WRAP', use: use(1, 0x7fffffff, 0x60000) },
      { number: 0x250, name: 'CKM_SHA256', use: null }
    ]
  })
  assert.deepEqual(
    used.map(({ name, number, sizes, for: uses }) => [name, number, sizes, uses]),
    [
      ['CKM_AES_GCM', '0x1087', '16–32', 'encrypt, decrypt'],
      ['CKM_ECDSA', '0x1041', '256', 'sign, verify'],
      ['CKM_AES_KEY_WRAP', '0x2109', 'from 1', 'wrap, unwrap']
    ]
  )
  assert.deepEqual(others, ['CKM_SHA256'])
})
