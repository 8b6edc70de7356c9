import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dataIn, encodeCalls, FrameReader, keyIn, SignAnswers } from './sign-frames.ts'

const calls = [
  { call: 1, ask: { id: 'ab'.repeat(16), algorithm: 'EC-P256', data: Buffer.from('first') } },
  { call: 0xffffffff, ask: { id: '01'.repeat(16), algorithm: 'RSA-3072', data: Buffer.alloc(70_000, 7) } },
  { call: 2, ask: { id: 'cd'.repeat(16), algorithm: 'EC-P384', data: Buffer.alloc(0) } }
] as const

test('calls come out of the pipe as they went in, however the stream is cut into pieces', () => {
  const bytes = encodeCalls(calls)
  for (const size of [1, 7, 8, 9, 4_096, bytes.length]) {
    const heard: unknown[] = []
    const reader = new FrameReader((call, body) => heard.push({ call, ask: { ...keyIn(body), data: dataIn(body) } }))
    for (let at = 0; at < bytes.length; at += size) reader.read(bytes.subarray(at, at + size))
    assert.deepEqual(heard, calls, `pieces of ${size}`)
  }
})

test('answers are gathered until there is no room, and then none is lost', () => {
  const answers = new SignAnswers()
  const heard: number[] = []
  const reader = new FrameReader((call, body) => heard.push(call, body.length))
  let call = 0
  while (answers.add(call + 1, Buffer.alloc(384))) call += 1
  assert.ok(call > 10)
  reader.read(Buffer.from(answers.take()))
  assert.equal(answers.add(call + 1, Buffer.alloc(72)), true)
  reader.read(Buffer.from(answers.take()))
  assert.deepEqual(heard.slice(-4), [call, 384, call + 1, 72])
  assert.equal(heard.length, 2 * (call + 1))
})
