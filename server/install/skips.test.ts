import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { skippableChecks, strictChecks } from './check-classes.ts'
import { skipRefusal, skipsFor, skipsPosted, skipTyped } from './skips.ts'
import { steps } from './steps.ts'

const reason = 'the cluster comes in May'
const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (thrown) {
    assert.ok(thrown instanceof AppError && thrown.code === 'invalid-input', String(thrown))
    return thrown.message
  }
  return assert.fail('nothing was refused')
}

const allChecks = async () => (await Promise.all(steps.map(({ checkIds }) => checkIds()))).flat()

test('every check of every step is either strict or skippable, and nothing else is', async () => {
  const ids = await allChecks()
  const [strict, skippable] = [Object.keys(strictChecks), Object.keys(skippableChecks)]
  assert.deepEqual([...strict, ...skippable].sort(), [...ids].sort())
})

test('what guards the partition, the database and the licence is strict', async () => {
  const harm = [
    'welcome.system',
    'welcome.processor',
    'database.schema',
    'database.tls',
    'kms.master-key',
    'account.free'
  ]
  const ofKeyStore = (await allChecks()).filter(
    (id) => /^kms\.(?!host-resolves|port-free|certificate)/.test(id) || id.startsWith('license.')
  )
  assert.ok(ofKeyStore.includes('kms.pin-state') && ofKeyStore.includes('kms.partition-label'))
  for (const id of [...harm, ...ofKeyStore]) {
    assert.match(skipRefusal(id) ?? '', new RegExp(`^${id} is strict and cannot be skipped: .+\\.$`))
  }
})

test('a slip in the name is answered with the name that was meant, and an inherited one is unknown', () => {
  assert.equal(skipRefusal('kafka.record'), null)
  assert.equal(skipRefusal('kafka.recrod'), 'There is no check kafka.recrod. Did you mean kafka.record?')
  assert.equal(skipRefusal('constructor'), 'There is no check constructor.')
})

test('a step takes skips of its own checks only, each once', () => {
  const one = { check: 'kafka.record', reason }
  assert.deepEqual([...skipsFor('kafka', [one])], [['kafka.record', reason]])
  assert.equal(
    refusal(() => skipsFor('kms', [one])),
    'kafka.record is no check of the step kms.'
  )
  assert.equal(
    refusal(() => skipsFor('kafka', [one, one])),
    'kafka.record is skipped twice.'
  )
  const both = [
    { check: 'kms.login', reason },
    { check: 'kms.pin-state', reason }
  ]
  assert.match(
    refusal(() => skipsFor('kms', both)),
    /kms\.login is strict .*kms\.pin-state is strict/
  )
})

test('a skip without a reason is none, whether posted or typed', () => {
  assert.deepEqual(skipsPosted([{ check: 'kafka.record', reason: ` ${reason} ` }]), [{ check: 'kafka.record', reason }])
  for (const sent of ['kafka.record', [{ check: 'kafka.record' }], [{ check: 'kafka.record', reason: ' x ' }], [7]]) {
    assert.match(
      refusal(() => skipsPosted(sent)),
      /^Skipped checks are a list/,
      JSON.stringify(sent)
    )
  }
  const two = `a\u001b[31m${reason}`
  assert.match(
    refusal(() => skipsPosted([{ check: 'kafka.record', reason: two }])),
    /on one line/
  )
  assert.deepEqual(skipTyped('kafka.record=a=b, by hand'), { check: 'kafka.record', reason: 'a=b, by hand' })
  for (const typed of ['kafka.record', 'kafka.record=', '=reason', 'kafka.record=no']) {
    assert.match(
      refusal(() => skipTyped(typed)),
      /needs a reason/,
      typed
    )
  }
})
