import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { jsonWork, liveWork, plainWork, toldBy } from './tell-work.ts'

const tasks = [
  { id: 'topic', title: 'Topics of Kafka' },
  { id: 'service', title: 'Services' },
  { id: 'around', title: 'State folder' }
]

/** A terminal of which only the last picture is kept, and a clock that goes when it is told to. */
function live(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  let picture = ''
  const terminal = {
    columns: 60,
    rows: 20,
    write: (text: string) => {
      picture = text
    }
  }
  const teller = liveWork(tasks, terminal, { colours: false, signs: true }, 'Ctrl-C ends it.')
  const shown = () =>
    stripVTControlCharacters(picture)
      .trimEnd()
      .split('\n')
      .map((line) => line.trimEnd())
  return { teller, shown, pass: (ms: number) => t.mock.timers.tick(ms) }
}

test('at a terminal each task has its row, and under the one that runs stands what it does and what is done', (t) => {
  const { teller, shown, pass } = live(t)
  teller.begin('topic', 'meters.events')
  pass(1200)
  teller.begin('service', 'cp')
  teller.done('  service cp: removed', {})
  teller.begin('service', 'kms')
  pass(300)
  const [topics = '', services = '', ...rest] = shown()
  assert.match(topics, /^\s*✓ Topics of Kafka +1\.2 s$/)
  assert.match(services, /^ \S Services +0\.3 s$/)
  assert.deepEqual(rest, ['   kms', '   │ service cp: removed', ' · State folder', 'Ctrl-C ends it.'])
  teller.end('done')
})

test('at its end every task is ticked, also one that had nothing to do, and nothing is drawn any more', (t) => {
  const { teller, shown, pass } = live(t)
  teller.begin('topic', 'meters.events')
  teller.end('done')
  const last = shown()
  assert.deepEqual(
    last.map((line) => line.trim().slice(0, 1)),
    ['✓', '✓', '✓']
  )
  pass(1000)
  assert.deepEqual(shown(), last)
})

test('the task that fails says so, with what it was at, and the rest stays undone', async (t) => {
  const { teller, shown } = live(t)
  const failure = new Error('the broker is gone')
  await assert.rejects(
    toldBy(teller, async () => {
      teller.begin('topic', 'meters.events')
      throw failure
    }),
    failure
  )
  const [topics = '', ...rest] = shown()
  assert.match(topics, /^\s*✕ Topics of Kafka/)
  assert.deepEqual(rest, ['   meters.events', ' · Services', ' · State folder'])
})

test('in a log it is a line a task and a line for what is done; for a program each is JSON', () => {
  const lines: string[] = []
  const written: string[] = []
  const tellers = [
    plainWork(tasks, (line) => lines.push(line)),
    jsonWork(
      tasks,
      (line) => written.push(line),
      () => {}
    )
  ]
  for (const teller of tellers) {
    teller.begin('topic', 'a')
    teller.phase('Starting the services')
    teller.done('  topic a: removed', { type: 'effect', name: 'a' })
    teller.begin('topic', 'b')
    teller.begin('service', 'kms')
    teller.end('done')
  }
  assert.deepEqual(lines, ['Topics of Kafka …', '  Starting the services', '  topic a: removed', 'Services …'])
  const events = written.map((line) => JSON.parse(line))
  for (const { at } of events) assert.ok(Number.isFinite(Date.parse(at)))
  assert.deepEqual(
    events.map(({ at, ...event }) => event),
    [
      { type: 'task', task: 'topic', title: 'Topics of Kafka' },
      { type: 'phase', title: 'Starting the services' },
      { type: 'effect', name: 'a' },
      { type: 'task', task: 'service', title: 'Services' }
    ]
  )
})
