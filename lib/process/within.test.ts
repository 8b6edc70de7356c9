import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { within } from './within.ts'

const never = new Promise<never>(() => {})

test('what the work answers or throws in time is answered or thrown', async () => {
  assert.equal(await within(1000, 'a test', async () => 42), 42)
  const refused = new Error('no')
  await assert.rejects(
    within(1000, 'a test', () => Promise.reject(refused)),
    refused
  )
})

test('work that throws before it promises anything is thrown as well, and leaves no timer', async () => {
  const broken = new Error('at once')
  await assert.rejects(
    within(60_000, 'a test', () => {
      throw broken
    }),
    broken
  )
})

test('after its time it is given up, and what comes later is heard by nobody', async () => {
  const late = Promise.withResolvers<void>()
  const given = within(5, 'a slow test', () => late.promise)
  await assert.rejects(given, { code: 'deadline-exceeded', message: /0\.005 s \(a slow test\)/ })
  late.reject(new Error('nobody hears this'))
  await pause(1)
  await assert.rejects(
    within(1, 'a test', () => never),
    { code: 'deadline-exceeded' }
  )
})
