import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobDocument } from '../install/jobs/job.ts'
import { jobModel } from './job-model.ts'

const job: JobDocument = {
  ...{ id: '20261130T090000000Z', kind: 'apply', step: null, title: 'An apply of several steps', actor: 'script' },
  ...{ startedAt: '2026-11-30T09:00:00.000Z', endedAt: '2026-11-30T09:00:01.000Z', elapsedMs: 1000, state: 'failed' },
  ...{ waiting: null, phases: [], findings: [], problem: null, stands: [], retryable: false, rest: null },
  ...{ resumes: null, next: null, finished: false },
  steps: [
    { id: 'welcome', state: 'done' },
    { id: 'database', state: 'failed' },
    { id: 'kms', state: 'waiting' }
  ]
}
const modelOf = (more: Partial<JobDocument>, stateDir = '/var/lib/keyscaler') =>
  jobModel({ ...job, ...more }, { steps: [], stateDir }, '')

test('a job that failed names the command that collects for who helps, with its state folder as a shell takes it', () => {
  const bundle = (stateDir: string) => modelOf({}, stateDir).supportBundle
  assert.equal(bundle('/var/lib/keyscaler'), 'keyscaler support-bundle --state /var/lib/keyscaler')
  assert.equal(bundle("/srv/Ada's keys"), `keyscaler support-bundle --state '/srv/Ada'\\''s keys'`)
  assert.ok(modelOf({ state: 'interrupted' }).supportBundle)
  for (const state of ['running', 'done', 'cancelled'] as const)
    assert.equal(modelOf({ state }).supportBundle, undefined)
})

test('of a job that ended what was left is not to come, and where it was cancelled nothing has failed', () => {
  const states = (state: JobDocument['state']) => modelOf({ state }).steps.map((row) => row.state)
  assert.deepEqual(states('running'), ['done', 'failed', 'waiting'])
  assert.deepEqual(states('failed'), ['done', 'failed', 'not-begun'])
  assert.deepEqual(states('cancelled'), ['done', 'cancelled', 'not-begun'])
})
