import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { drawTaskList, duration, type Paper, type Task, type TaskList } from './task-list.ts'
import { columnsOf } from './terminal-text.ts'

const paper: Paper = { columns: 80, rows: 40, colours: false, signs: true, turn: 0 }
const titles = [
  'Welcome',
  'Database',
  'KMS Deployment',
  'Memcached',
  'Account',
  'License',
  'Kafka',
  'DAE',
  'MQS',
  'CP',
  'End'
]

/** The third of eleven steps runs. */
function underWay(more: Partial<TaskList> = {}): TaskList {
  const tasks = titles.map(
    (title, at): Task =>
      at < 2
        ? { title, state: 'done', ms: 1200 }
        : at === 2
          ? { title, state: 'running', ms: 3400 }
          : { title, state: 'waiting', ms: null }
  )
  const log = Array.from({ length: 8 }, (_, at) => `line ${at}`)
  return {
    tasks,
    phase: 'KMS: waiting until it is ready',
    waiting: { what: '/readyz', ms: 3000 },
    log,
    foot: null,
    ...more
  }
}

test('every task has its row, and what is waited for stands under the one that runs', () => {
  const lines = drawTaskList(underWay(), paper)
  assert.equal(lines.length, 11 + 2 + 5)
  assert.match(lines[1] ?? '', /^ ✓ Database +1\.2 s$/)
  assert.match(lines[2] ?? '', /^ ⠋ KMS Deployment +3\.4 s$/)
  assert.deepEqual(lines.slice(3, 6), [
    '   KMS: waiting until it is ready',
    '   waiting for /readyz since 3.0 s',
    '   │ line 3'
  ])
  assert.equal(lines[10], ' · Memcached')
})

test('no picture is wider or higher than the window, however small that is', () => {
  const long = underWay({
    phase: 'x'.repeat(300),
    log: ['鍵'.repeat(200)],
    foot: 'Ctrl-C stops at the next safe point.'
  })
  for (const columns of [1, 5, 20, 40, 80, 200]) {
    for (const rows of [2, 3, 5, 10, 13, 24]) {
      const lines = drawTaskList(long, { ...paper, columns, rows, colours: true }).map(stripVTControlCharacters)
      assert.ok(lines.length < rows, `${lines.length} lines in ${rows} rows`)
      if (columns < 10) continue
      for (const line of lines) assert.ok(columnsOf(line) <= columns, `${columns}: ${line}`)
    }
  }
})

test('in a low window log lines go first; the task that runs stays', () => {
  for (const rows of [4, 6, 8, 12]) {
    const lines = drawTaskList(underWay(), { ...paper, rows })
    assert.match(lines.join('\n'), /KMS Deployment[\s\S]*waiting until it is ready/, `${rows} rows`)
  }
  assert.deepEqual(drawTaskList(underWay(), { ...paper, rows: 6 }).slice(-1), ['   8 more to come'])
})

test('a label cannot move the cursor or recolour the terminal', () => {
  const hostile = 'a\u001b[2J\u001b[31mb\r\u0007\u009bc\nd'
  const lines = drawTaskList(underWay({ phase: hostile, waiting: { what: hostile, ms: 0 }, log: [hostile] }), paper)
  assert.doesNotMatch(lines.join(''), /\p{Cc}/u)
  assert.match(lines.join('\n'), /ab d/)
})

test('without colours and without signs it is plain ASCII', () => {
  const lines = drawTaskList(underWay({ log: ['x'.repeat(200)] }), { ...paper, signs: false })
  assert.match(lines.join('\n'), /^[\x20-\x7e\n]*$/)
  assert.match(lines[2] ?? '', /^ \| KMS/)
})

test('times are told as long as they are worth saying', () => {
  assert.deepEqual([0, 340, 9949, 12_600, 125_000].map(duration), ['0.0 s', '0.3 s', '9.9 s', '12 s', '2 min 5 s'])
})
