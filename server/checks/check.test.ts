import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type CheckSurroundings, defineCheck, defineDiagnosis, defineLadder, type Finding, runChecks } from './check.ts'

const around: CheckSurroundings = { stateDir: '/', install: '', earlier: {}, progress: () => {}, services: {} }

/** A ladder over a number: each rung fails when the number is below it. */
const stairs = (
  observe: (start: number, around: CheckSurroundings, signal: AbortSignal) => Promise<number>,
  ms = 1000
) =>
  defineLadder<number, number>({
    id: 't.stairs',
    title: 'Stairs',
    deadlineMs: ms,
    fix: 'Climb.',
    field: 'height',
    observe,
    rungs: [1, 2, 3].map((height) => ({
      id: `t.${height}`,
      title: `Rung ${height}`,
      independent: height === 3,
      outcomes: [
        {
          verdict: 'fail',
          when: (seen) => seen < height,
          say: (seen) => `${seen} is below ${height}`,
          fix: 'Climb.',
          field: 'height',
          offer: () => ({ label: `Use ${height}`, values: { height: String(height) } })
        },
        { verdict: 'pass', say: 'High enough.' }
      ]
    }))
  })

test('the first matching outcome speaks, with its cure, field and offer', async () => {
  const [first, second] = await stairs(async (height) => height).run(1, around, {})
  assert.equal(first?.verdict, 'pass')
  assert.deepEqual(
    { ...second, ms: 0 },
    {
      id: 't.2',
      title: 'Rung 2',
      verdict: 'fail',
      say: '1 is below 2',
      cure: 'Climb.',
      field: 'height',
      offer: { label: 'Use 2', values: { height: '2' } },
      ms: 0
    }
  )
})

test('a failed rung leaves those after it not reached, unless they are independent', async () => {
  const findings = await stairs(async (height) => height).run(0, around, {})
  assert.deepEqual(
    findings.map(({ verdict }) => verdict),
    ['fail', 'skip', 'fail']
  )
})

test('an observation that throws is a finding with the cure of the check, and every rung is accounted for', async () => {
  const seen: string[] = []
  const findings = await stairs(() => Promise.reject(new Error('no ladder here'))).run(5, around, {
    finding: ({ id }) => seen.push(id)
  })
  assert.deepEqual(
    findings.map(({ id, verdict }) => [id, verdict]),
    [
      ['t.1', 'fail'],
      ['t.2', 'skip'],
      ['t.3', 'skip']
    ]
  )
  assert.equal(findings[0]?.say, 'no ladder here')
  assert.equal(findings[0]?.cure, 'Climb.')
  assert.equal(findings[0]?.field, 'height')
  assert.deepEqual(seen, ['t.1', 't.2', 't.3'])
})

test('an observation that hangs ends at its deadline, says what it waited for, and is told to stop', async () => {
  let stopped = false
  const check = stairs((_height, { progress }, signal) => {
    progress('C_Login')
    signal.addEventListener('abort', () => {
      stopped = true
    })
    return new Promise(() => {})
  }, 50)
  const [finding] = await check.run(1, around, {})
  assert.equal(finding?.say, 'No answer within 0.05 s (waiting for: C_Login).')
  assert.ok((finding?.ms ?? 0) < 1000)
  assert.ok(stopped)
})

test('what was told while it was observed stands when the deadline passes: the first rung after it says so', async () => {
  const told: string[] = []
  let late: (() => void) | undefined
  const check = defineDiagnosis<null>({
    id: 't.live',
    title: 'Live',
    deadlineMs: 50,
    ids: ['t.1', 't.2', 't.3'],
    rungs: () => [1, 2, 3].map((height) => ({ id: `t.${height}`, title: `Rung ${height}` })),
    fix: 'Climb.',
    find: (_answers, _around, { watch }) => {
      const say = (id: string) => watch.finding?.({ id, title: id, verdict: 'pass', say: 'High enough.', ms: 1 })
      say('t.1')
      late = () => say('t.2')
      return new Promise(() => {})
    }
  })
  const findings = await check.run(null, around, { finding: ({ id }) => told.push(id) })
  late?.()
  assert.deepEqual(
    findings.map(({ id, verdict }) => `${id} ${verdict}`),
    ['t.1 pass', 't.2 fail', 't.3 skip']
  )
  assert.deepEqual(told, ['t.1', 't.2', 't.3'], 'each once, and nothing after the deadline')
})

test('what fails after the last rung was told is thrown when all other checks are done, and not lost', async () => {
  const told: string[] = []
  const full = new Error('ENOSPC: no space left on device, write')
  const check = defineDiagnosis<number>({
    id: 't.kept',
    title: 'Kept',
    deadlineMs: 1000,
    ids: ['t.1', 't.2'],
    rungs: () => [1, 2].map((height) => ({ id: `t.${height}`, title: `Rung ${height}` })),
    fix: 'Climb.',
    find: async (_answers, _around, { watch }) => {
      for (const id of ['t.1', 't.2']) watch.finding?.({ id, title: id, verdict: 'pass', say: 'High enough.', ms: 1 })
      throw full
    }
  })
  const other = stairs(async () => {
    await setTimeout(50)
    return 9
  })
  const run = runChecks([check, other], 9, around, { finding: ({ id }) => told.push(id) })
  await assert.rejects(run, full)
  assert.deepEqual(told.slice(0, 2), ['t.1', 't.2'])
  assert.ok(told.length > 2, String(told))
})

test('what is waited for is named within a second', async () => {
  const waits: string[] = []
  const check = stairs(async (height, { progress }) => {
    progress('C_OpenSession')
    await setTimeout(700)
    return height
  })
  await check.run(9, around, { waiting: (id, what, ms) => waits.push(`${id} ${what} ${ms < 1000}`) })
  assert.deepEqual(waits, ['t.stairs C_OpenSession true'])
})

test('checks run side by side, one that fails or hangs stops no other, and findings keep the order of the list', async () => {
  const order: string[] = []
  const single = (id: string, work: () => Promise<boolean>) =>
    defineCheck<null, boolean>({
      id,
      title: id,
      deadlineMs: 100,
      fix: '',
      observe: work,
      outcomes: [
        { verdict: 'warn', when: (fine) => !fine, say: 'meagre' },
        { verdict: 'pass', say: 'fine' }
      ]
    })
  const findings = await runChecks<null>(
    [
      single('t.hangs', () => new Promise(() => {})),
      single('t.throws', () => Promise.reject(new Error('x'))),
      single('t.warns', async () => false),
      single('t.passes', async () => true)
    ],
    null,
    around,
    { finding: (finding: Finding) => order.push(finding.id) }
  )
  assert.deepEqual(
    findings.map(({ id, verdict }) => `${id} ${verdict}`),
    ['t.hangs fail', 't.throws fail', 't.warns warn', 't.passes pass']
  )
  assert.equal(order.at(-1), 't.hangs', 'the others did not wait for the one that hangs')
})

test('a rung without a last word is a mistake of ours, and is told as a failure', async () => {
  const check = defineCheck<null, number>({
    id: 't.mute',
    title: 'Mute',
    deadlineMs: 100,
    fix: 'Report it.',
    observe: async () => 1,
    outcomes: [{ verdict: 'pass', when: (seen) => seen === 2, say: '' }]
  })
  const [finding] = await check.run(null, around, {})
  assert.equal(finding?.verdict, 'fail')
  assert.match(finding?.say ?? '', /last outcome/)
})

test('a check of which all is skipped is not run, and says why it was not', async () => {
  let observed = 0
  const ladder = stairs(async () => ++observed)
  const skip = new Map(['t.1', 't.2', 't.3'].map((id) => [id, 'comes later']))
  const told: Finding[] = []
  const findings = await ladder.run(0, { ...around, skip }, { finding: (finding) => told.push(finding) })
  assert.equal(observed, 0)
  assert.deepEqual(told, findings)
  assert.deepEqual(
    findings.map(({ id, verdict, say, skipped }) => [id, verdict, say, skipped]),
    [1, 2, 3].map((height) => [`t.${height}`, 'skip', 'Skipped: comes later', 'comes later'])
  )
})

test('no rung hides behind a skipped one: those after it are judged, and when nothing was seen the next one says so', async () => {
  const skip = new Map([['t.1', 'comes later']])
  const judged = await stairs(async () => 0).run(0, { ...around, skip }, {})
  assert.deepEqual(
    judged.map(({ verdict }) => verdict),
    ['skip', 'fail', 'fail']
  )
  const broken = await stairs(() => Promise.reject(new Error('no stairs'))).run(0, { ...around, skip }, {})
  assert.deepEqual(
    broken.map(({ verdict, say }) => [verdict, say]),
    [
      ['skip', 'Skipped: comes later'],
      ['fail', 'no stairs'],
      ['skip', 'Not reached.']
    ]
  )
})
