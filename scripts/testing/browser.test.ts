import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tallyReport } from './browser.ts'

const spec = (title: string, status: string, annotations: { type: string; description?: string }[] = []) => ({
  title,
  file: 'a.spec.ts',
  tests: [{ status, annotations }]
})
const report = (specs: ReturnType<typeof spec>[], stats: object, errors: { message: string }[] = []) => ({
  stats: { expected: 0, unexpected: 0, flaky: 0, skipped: 0, ...stats },
  errors,
  suites: [{ title: 'a.spec.ts', specs: [], suites: [{ title: 'inner', specs }] }]
})

test('a story that passed only at its second try has failed', () => {
  const tally = tallyReport(report([spec('x', 'flaky'), spec('y', 'expected')], { flaky: 1, expected: 1 }), 'code 0')
  assert.equal(tally.failed, 1)
  assert.equal(tally.passed, 1)
  assert.deepEqual(tally.failures, ['e2e/a.spec.ts: x (flaky)'])
})

test('a skip is counted with its reason', () => {
  const skip = spec('x', 'skipped', [{ type: 'skip', description: 'no real broker' }])
  assert.deepEqual(tallyReport(report([skip], { skipped: 1 }), 'code 0').skips, ['e2e/a.spec.ts: x (no real broker)'])
})

test('an error outside the stories, and an end without a counted failure, are failures', () => {
  assert.equal(tallyReport(report([], {}, [{ message: 'no config' }]), 'code 1').failed, 1)
  assert.equal(tallyReport(report([spec('y', 'expected')], { expected: 1 }), 'code 1').failed, 1)
})
