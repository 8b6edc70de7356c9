import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { runInLanes, type Work } from './lanes.ts'
import { nothing } from './tally.ts'

/** Work that lasts until it is told to end. */
function held(fixedPorts: boolean) {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = 0
  const run: Work['run'] = async () => {
    begun++
    await promise
    return { ...nothing, passed: 1 }
  }
  return { work: { fixedPorts, run }, end: resolve, begun: () => begun }
}

async function turns(): Promise<void> {
  for (let times = 0; times < 10; times++) await turn()
}

test('what wants the fixed ports runs beside everything but its like; nothing is left out, nothing runs twice', async () => {
  const [stories, preflight, readme] = [held(true), held(true), held(true)]
  const [plain, other] = [held(false), held(false)]
  const all = [stories, preflight, readme, plain, other]
  const running = runInLanes(
    all.map(({ work }) => work),
    2
  )
  const begun = async () => {
    await turns()
    return all.map((one) => one.begun())
  }
  assert.deepEqual(await begun(), [1, 0, 0, 1, 0])
  plain.end()
  assert.deepEqual(await begun(), [1, 0, 0, 1, 1])
  other.end()
  assert.deepEqual(await begun(), [1, 0, 0, 1, 1], 'the second lane waits')
  stories.end()
  assert.deepEqual(await begun(), [1, 1, 0, 1, 1])
  preflight.end()
  readme.end()
  assert.equal((await running).length, all.length)
  assert.deepEqual(await begun(), [1, 1, 1, 1, 1])
})

test('a piece that breaks breaks the run, also for a lane that waits for its ports', async () => {
  const broken: Work = { fixedPorts: true, run: () => turns().then(() => Promise.reject(new Error('broken'))) }
  await assert.rejects(runInLanes([broken, held(true).work], 2), /broken/)
})
