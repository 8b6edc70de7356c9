import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerError } from './errors.ts'
import { untilKnown } from './until-known.ts'

/** As kafkajs throws what a broker answered. */
const answered = (type: string) => brokerError(Object.assign(new Error(type), { type }))
const unknown = answered('UNKNOWN_TOPIC_OR_PARTITION')
const noLeader = answered('NOT_LEADER_FOR_PARTITION')
const gone = brokerError(new Error('The broker is gone.'))

/** Answers these, one a call. */
function answering(...answers: readonly (Error | 'known')[]) {
  let asked = 0
  const work = async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]
    if (answer instanceof Error) throw answer
    return answer
  }
  return { work, asked: () => asked }
}

test('a topic that a broker has not heard of yet, or a leader of its leading, is asked for again', async () => {
  const { work, asked } = answering(unknown, noLeader, unknown, 'known')
  assert.deepEqual([await untilKnown(work, 1), asked()], ['known', 4])
})

test('anything else is said at once, and what stays unknown is said in the end', async () => {
  const other = answering(unknown, gone, 'known')
  await assert.rejects(untilKnown(other.work, 1), gone)
  assert.equal(other.asked(), 2)
  const never = answering(unknown)
  await assert.rejects(untilKnown(never.work, 500), unknown)
  assert.equal(never.asked(), 5)
})
