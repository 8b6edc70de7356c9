import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preferredWait } from './prefer.ts'

test('how long a client waits is what it prefers, within five minutes; what is malformed is no preference', () => {
  const cases: readonly (readonly [string | undefined, number | null])[] = [
    [undefined, null],
    ['wait=10', 10_000],
    ['respond-async, wait=20', 20_000],
    ['return=minimal, WAIT = 5; foo', 5000],
    ['wait="7"', 7000],
    ['wait=99999', 300_000],
    ['wait=0', 0],
    ['respond-async', 0],
    ['handling=lenient', null],
    ['wait=-1', null],
    ['wait=soon', null],
    ['awaited=3', null]
  ]
  for (const [prefer, expected] of cases) {
    assert.equal(preferredWait({ headers: prefer === undefined ? {} : { prefer } }), expected, prefer)
  }
})
