import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../errors/app-error.ts'
import { untilKnown } from './until-known.ts'

const unknown = new AppError('not-found', 'This server does not host this topic-partition')
const gone = new AppError('broker-unavailable', 'The broker is gone.')

/** Answers these, one a call. */
function answering(...answers: readonly (AppError | 'known')[]) {
  let asked = 0
  const work = async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]
    if (answer instanceof AppError) throw answer
    return answer
  }
  return { work, asked: () => asked }
}

test('a topic that a broker has not heard of yet is asked for again', async () => {
  const { work, asked } = answering(unknown, unknown, 'known')
  assert.deepEqual([await untilKnown(work), asked()], ['known', 3])
})

test('anything else is said at once, and what stays unknown is said in the end', async () => {
  const other = answering(unknown, gone, 'known')
  await assert.rejects(untilKnown(other.work), gone)
  assert.equal(other.asked(), 2)
  const never = answering(unknown)
  await assert.rejects(untilKnown(never.work, 0), unknown)
  assert.equal(never.asked(), 21)
})
