/** A skipped check is really skipped: a peer that writes down what it hears proves it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { peer, surroundings } from '../checks/testing.ts'
import { kafkaStep } from '../steps/kafka/step.ts'
import { memcachedStep } from '../steps/memcached/step.ts'
import { exportAnswers } from './export-answers.ts'
import type { KeptFinding } from './kept-finding.ts'
import { type SubmitGround, submitStep } from './submit.ts'

const reason = 'the servers come in May'

test('whoever skips all checks of a peer never calls it, and the reason is kept with the answers', async () => {
  let calls = 0
  const listener = await peer((socket) => {
    calls += 1
    socket.end()
  })
  const saved: (readonly [string, readonly KeptFinding[], string])[] = []
  const ground: SubmitGround = {
    steps: [memcachedStep],
    answers: async () => new Map(),
    finished: () => false,
    prepare: () => {},
    lacks: async () => false,
    openSecret: async () => '',
    surroundings: async () => surroundings,
    save: async (...[step, , , findings, actor]) => saved.push([step, findings, actor]),
    apply: async () => ({})
  }
  const raw = { servers: listener.server, prefix: 'ks:' }
  const options = { continueAnyway: false, actor: 'script' }
  const refused = await submitStep(ground, 'memcached', raw, options)
  assert.ok(!refused.ok && calls > 0, JSON.stringify(refused))
  const before = calls
  const skip = [{ check: 'memcached.servers-answer', reason }]
  const taken = await submitStep(ground, 'memcached', raw, { ...options, skip })
  assert.ok(taken.ok, JSON.stringify(taken))
  assert.equal(calls, before)
  const finding = { id: 'memcached.servers-answer', title: 'Servers', verdict: 'skip', say: `Skipped: ${reason}` }
  const at = saved[0]?.[1][0]?.at
  assert.deepEqual(saved, [['memcached', [{ ...finding, skipped: reason, ms: 0, at }], 'script']])
  const strict = [{ check: 'kms.pin-state', reason }]
  await assert.rejects(submitStep(ground, 'memcached', raw, { ...options, skip: strict }), /kms\.pin-state is strict/)
})

test('the answers file of an install with a skipped check skips it again', () => {
  const findings = [
    { id: 'memcached.servers-answer', title: 'Servers', verdict: 'skip', skipped: reason },
    { id: 'memcached.other', title: 'Other', verdict: 'skip', say: 'Not reached.' }
  ]
  const values = { servers: ['m1.example:11211'], prefix: 'ks:' }
  const stored = { revision: 1, values, secrets: {}, findings, actor: 'script', at: '', appliedAt: '' }
  const answers = new Map([['memcached', stored] as const])
  const { skip } = parse(exportAnswers({ stateDir: '/nonexistent', steps: [memcachedStep], answers }))
  assert.deepEqual(skip, [{ check: 'memcached.servers-answer', reason }])
})

test('who skips the cluster, its topics and its record hears whether brokers answer, and nobody asks for more', async () => {
  // The answer to the greeting: no error, one row, Produce up to version 9.
  const answer = Buffer.from('000000106b736331000000000001000000000009', 'hex')
  let calls = 0
  const listener = await peer((socket) => {
    calls += 1
    socket.once('data', () => (calls === 1 ? socket.write(answer) : socket.destroy()))
  })
  const parsed = kafkaStep.parse({
    ...{ brokers: listener.server, security: 'PLAINTEXT', topicPrefix: 'ks', partitions: 1, replication: 1 }
  })
  assert.ok(parsed.ok, JSON.stringify(parsed))
  const skip = new Map(['metadata', 'topics', 'record'].map((name) => [`kafka.${name}`, reason]))
  const findings = await parsed.submission.check({ ...surroundings, skip })
  assert.deepEqual(
    findings.map(({ id, verdict, skipped }) => [id, verdict, skipped]),
    [
      ['kafka.brokers-answer', 'pass', undefined],
      ['kafka.encryption', 'pass', undefined],
      ...['metadata', 'topics', 'record'].map((name) => [`kafka.${name}`, 'skip', reason])
    ]
  )
  assert.equal(calls, 1)
})
