import assert from 'node:assert/strict'
import test from 'node:test'
import { isSealed } from './status-routes.ts'

test('a KMS that says it is sealed, and has not ended yet, is sealed on the page of the day after as a latched one is', () => {
  for (const state of [
    'latched: sealed: PIN rejected',
    'latched: sealed: Crypto Officer locked',
    'unhealthy: keyStore: sealed: PIN rejected',
    'unhealthy: database: Connection lost; keyStore: sealed: PIN rejected'
  ]) {
    assert.ok(isSealed({ state }), state)
  }
  for (const state of [
    'ready',
    'unhealthy: keyStore: lost: the token is gone',
    'backing-off: ended (exit code 1); next start in 2 s. keyStore: sealed: PIN rejected'
  ]) {
    assert.ok(!isSealed({ state }), state)
  }
})
