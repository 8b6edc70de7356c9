import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newDesk, SignDesk } from './sign-desk.ts'

const input = Buffer.alloc(32, 1)
const body = Buffer.from('the body')

test('a call is taken once, in the order of putting, whoever takes it', () => {
  const desk = newDesk(2, 8)
  const [one, other] = [new SignDesk(desk.memory), new SignDesk(desk.memory)]
  for (const call of [11, 12, 13]) assert.equal(desk.put(call, 5, input, body), true)
  const slots = [one.take(), other.take(), one.take()]
  assert.deepEqual(
    slots.map((slot) => slot !== null && one.callOf(slot)),
    [11, 12, 13]
  )
  assert.equal(other.take(), null)
  const [first] = slots
  assert.ok(first != null)
  assert.deepEqual([one.keyOf(first), one.inputOf(first), Buffer.from(one.bodyOf(first))], [5, input, body])
})

test('a slot is used again only after its call was answered or left, in whatever order that happens', () => {
  const desk = newDesk(1, 4)
  for (const call of [1, 2, 3, 4]) desk.put(call, 1, input, body)
  assert.equal(desk.put(5, 1, input, body), false)
  const [first, second] = [desk.take(), desk.take()]
  assert.ok(first !== null && second !== null)
  desk.release(second)
  assert.equal(desk.put(6, 1, input, body), true)
  assert.equal(desk.callOf(second), 6)
  assert.equal(desk.callOf(first), 1)
  assert.equal(desk.released, 1)
  for (let slot = desk.take(); slot !== null; slot = desk.take()) desk.leave(slot)
  assert.equal(desk.busy, true)
  desk.leave(first)
  assert.deepEqual([desk.busy, desk.released], [false, 1])
})

test('what workers pass on reaches the verifier with its signature, also past the end of the ring', () => {
  const desk = newDesk(3, 4)
  for (let round = 0; round < 10; round++) {
    desk.put(round + 1, 1, input, body)
    const slot = desk.take()
    assert.ok(slot !== null)
    desk.roomOf(slot).fill(round)
    desk.pass(slot, 64)
    assert.equal(desk.takeSigned(), slot)
    assert.deepEqual(desk.signatureOf(slot), Buffer.alloc(64, round))
    desk.release(slot)
  }
  assert.equal(desk.takeSigned(), null)
})

test('what is too long for a slot is not put in', () => {
  const desk = newDesk(1, 4)
  assert.equal(desk.put(1, 1, input, Buffer.alloc(3_000)), false)
  assert.deepEqual([desk.take(), desk.busy], [null, false])
})

test('all rest until one has a session', () => {
  const desk = newDesk(2, 4)
  assert.equal(desk.allRest, true)
  desk.setResting(1, false)
  assert.equal(desk.allRest, false)
})
