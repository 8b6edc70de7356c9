import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StepId } from '../steps/step.ts'
import type { StoredAnswers } from './boot-file.ts'
import { currentStep, isOpen, progressOf } from './progress.ts'
import { steps } from './steps.ts'

const applied = (appliedAt: string | null): StoredAnswers => ({
  revision: 1,
  values: {},
  secrets: {},
  findings: [],
  actor: 'test',
  at: '2026-01-01T00:00:00.000Z',
  appliedAt
})

function answered(...rows: readonly (readonly [StepId, string | null])[]) {
  return new Map(rows.map(([id, at]) => [id, applied(at)]))
}

test('the eleven steps have the names and the order of the guide', () => {
  assert.deepEqual(
    steps.map(({ title }) => title),
    [
      'Welcome',
      'Database Configuration',
      'KMS Deployment',
      'Memcached Configuration',
      'Account Creation',
      'System License',
      'Apache Kafka Configuration',
      'DAE Deployment',
      'Message Queue Service Deployment',
      'CP Deployment',
      'Setup Complete!'
    ]
  )
})

test('with no answers the first step is current and nothing else is open', () => {
  const progress = progressOf(steps, new Map())
  assert.equal(currentStep(progress).id, 'welcome')
  assert.equal(isOpen(progress, 'database'), false)
  assert.deepEqual(new Set(progress.slice(1).map(({ state }) => state)), new Set(['later']))
})

test('a step whose answers are kept but not applied is current and pending', () => {
  const progress = progressOf(steps, answered(['welcome', '2026-01-01T00:00:01.000Z'], ['database', null]))
  assert.equal(currentStep(progress).id, 'database')
  assert.equal(currentStep(progress).pending, true)
  assert.equal(isOpen(progress, 'welcome'), true)
})

test('a changed key store makes what was sealed and deployed under it need attention, and leaves Memcached done', () => {
  const order: StepId[] = ['welcome', 'database', 'kms', 'memcached', 'account', 'license', 'kafka', 'dae', 'mqs', 'cp']
  const rows = order.map((id, index) => [id, `2026-01-01T00:00:0${index}.000Z`] as const)
  const before = progressOf(steps, answered(...rows))
  assert.equal(currentStep(before).id, 'complete')
  const after = progressOf(steps, answered(...rows.filter(([id]) => id !== 'kms'), ['kms', '2026-01-01T00:01:00.000Z']))
  const state = (id: StepId) => after.find((row) => row.id === id)?.state
  assert.equal(state('kms'), 'done')
  assert.equal(state('memcached'), 'done')
  assert.equal(currentStep(after).id, 'account')
  assert.equal(state('dae'), 'attention')
})
