import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closingLines, nothing, total } from './tally.ts'

test('the last line is "N passed, N failed" whatever was skipped, and what was skipped is counted above it', () => {
  const suites = [
    { ...nothing, passed: 5 },
    { ...nothing, passed: 2, failed: 1, skipped: 3 }
  ]
  assert.equal(closingLines(total(suites)), '3 skipped\n7 passed, 1 failed')
  assert.equal(closingLines({ ...nothing, passed: 5 }), '5 passed, 0 failed')
})
