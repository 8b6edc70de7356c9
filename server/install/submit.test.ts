/** What an empty secret field means: the kept one, but never on another way than the one for which it was typed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { surroundings } from '../checks/testing.ts'
import { databaseStep } from '../steps/database/step.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import { kafkaStep } from '../steps/kafka/step.ts'
import { kmsStep } from '../steps/kms/step.ts'
import { memcachedStep } from '../steps/memcached/step.ts'
import { mqsStep } from '../steps/mqs/step.ts'
import type { StoredAnswers } from './boot-file.ts'
import { readAnswers, type SubmitGround, submitStep } from './submit.ts'

const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----'
const certificateKey = '-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----'
const database = { dbHost: 'db.example', dbPort: 3306, dbName: 'ks', dbUser: 'ada', dbTls: true, dbCa: certificate }
const kafka = {
  brokers: ['kafka.example:9093'],
  security: 'SASL_SSL',
  mechanism: 'plain',
  username: 'ada',
  ca: certificate,
  topicPrefix: 'ks',
  partitions: 1,
  replication: 1
}
const kms = {
  keyStore: 'gemalto-safenet',
  slot: 3,
  partition: 'HSMoDnFIPS',
  kmsHost: 'https://kms.example',
  library: '/usr/lib/a.so',
  confPath: '/etc',
  sendAgain: false,
  masterKey: 'generate'
}

function read(step: DefinedStep, kept: { values: object; secret: string }, now: Record<string, unknown>) {
  const stored: StoredAnswers = {
    revision: 1,
    values: { ...kept.values },
    secrets: { [kept.secret]: { file: 'any' } },
    findings: [],
    actor: 'test',
    at: '',
    appliedAt: null
  }
  const openSecret = async () => (kept.secret === 'certificateKey' ? certificateKey : 'kept secret')
  return readAnswers({ openSecret }, step, { ...kept.values, ...now }, stored)
}

test('an empty secret is the kept one as long as nothing is changed that decides who gets it', async () => {
  const steps = [
    { step: databaseStep, kept: { values: database, secret: 'dbPassword' } },
    { step: kafkaStep, kept: { values: kafka, secret: 'password' } },
    { step: kmsStep, kept: { values: kms, secret: 'password' } }
  ]
  const changes: readonly (readonly [string, unknown])[][] = [
    [
      ['dbHost', 'evil.example'],
      ['dbPort', 3307],
      ['dbUser', 'eve'],
      ['dbTls', false],
      ['dbCa', certificate.replace('MIIB', 'MIIC')]
    ],
    [
      ['brokers', ['evil.example:9093']],
      ['username', 'eve'],
      ['mechanism', 'scram-sha-256'],
      ['ca', '']
    ],
    [
      ['library', '/tmp/evil.so'],
      ['confPath', '/tmp'],
      ['slot', 4],
      ['partition', 'another']
    ]
  ]
  for (const [at, { step, kept }] of steps.entries()) {
    for (const empty of ['', undefined]) assert.ok((await read(step, kept, { [kept.secret]: empty })).ok, step.id)
    for (const [field, value] of changes[at] ?? []) {
      const parsed = await read(step, kept, { [kept.secret]: '', [field]: value })
      assert.ok(!parsed.ok, `${step.id}.${field}`)
      assert.match(parsed.fields[kept.secret] ?? '', /^You must provide a value for /, `${step.id}.${field}`)
    }
  }
})

test('who empties the certificate gives up the kept key with it; a key alone is still refused', async () => {
  const kept = { values: { mqsHost: 'https://mqs.example', certificate }, secret: 'certificateKey' }
  const given = await read(mqsStep, kept, { certificateKey: '' })
  assert.ok(given.ok)
  assert.deepEqual(await given.submission.keepSecrets(), { certificateKey })
  const emptied = await read(mqsStep, kept, { certificate: '', certificateKey: '' })
  assert.ok(emptied.ok)
  assert.deepEqual(await emptied.submission.keepSecrets(), {})
  const alone = await read(mqsStep, kept, { certificate: '', certificateKey })
  assert.ok(!alone.ok)
  assert.deepEqual(alone.fields, { certificate: 'You must provide a value for Certificate.' })
})

test('a secret is taken as it was typed, spaces at its ends included; other answers are trimmed', async () => {
  const parsed = kmsStep.parse({ ...kms, partition: ' HSMoDnFIPS ', password: ' a password ' })
  assert.ok(parsed.ok)
  assert.equal(parsed.submission.values.partition, 'HSMoDnFIPS')
  assert.deepEqual(await parsed.submission.keepSecrets(), { password: ' a password ' })
})

test('a step that stands is applied again only for what it lacks, in the revision that it has: cut off, it still stands', async () => {
  const values = { servers: ['127.0.0.1:11211'], prefix: 'ks:' }
  const appliedAt = '2026-11-30T06:00:00.000Z'
  const stored = { revision: 4, values, secrets: {}, findings: [], actor: 'script', at: appliedAt, appliedAt }
  const done: unknown[] = []
  let lacks = false
  const ground: SubmitGround = {
    steps: [memcachedStep, kafkaStep],
    answers: async () => new Map([['memcached', stored]]),
    finished: () => false,
    prepare: () => {},
    lacks: async () => lacks,
    openSecret: async () => '',
    surroundings: async () => surroundings,
    save: async () => done.push('saved'),
    apply: async (step, revision, _submission, _watch, at) => {
      done.push([step, revision, at])
      return {}
    }
  }
  const skip = [{ check: 'memcached.servers-answer', reason: 'the servers come in May' }]
  const submit = async (raw: object) => (await submitStep(ground, 'memcached', { ...raw }, options)).ok
  const options = { continueAnyway: false, actor: 'script', skip }
  assert.ok(await submit(values))
  assert.deepEqual(done, [])
  lacks = true
  assert.ok(await submit(values))
  assert.deepEqual(done, [['memcached', 4, appliedAt]])
  assert.ok(await submit({ ...values, prefix: 'other:' }))
  assert.deepEqual(done.slice(1), ['saved', ['memcached', 2, undefined]])
})
