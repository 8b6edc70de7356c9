import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import type { Tally } from './tally.ts'

const dir = mkdtempSync(join(tmpdir(), 'ks-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const imports = "import { before, describe, test } from 'node:test'; import net from 'node:net'\n"

/** Runs one test file as `npm test` would, in a process that is not itself a test. */
async function tally(name: string, source: string, graceMs = 15_000, fileMs = 5000): Promise<Tally> {
  const file = join(dir, `${name}.test.ts`)
  writeFileSync(file, imports + source)
  const program = `
    import { testFileWork } from '${join(import.meta.dirname, 'unit.ts')}'
    const [work] = testFileWork(['${file}'], new AbortController().signal, { testMs: 500, fileMs: ${fileMs} })
    const tally = await work.run()
    console.log('\\n' + JSON.stringify(tally))`
  const { NODE_TEST_CONTEXT, ...env } = { ...process.env }
  env.KEYSCALER_TEST_GRACE_MS = String(graceMs)
  const runner = join(dir, `${name}.mjs`)
  writeFileSync(runner, program)
  const { stdout } = await promisify(execFile)(process.execPath, [runner], { env })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

test('passes, failures, skips with their reason and a broken hook are each counted once', async () => {
  const { passed, failed, skipped, failures, skips } = await tally(
    'mixed',
    `test('good', () => {})
     test('bad', () => { throw new Error('x') })
     test('not here', { skip: 'no token' }, () => {})
     describe('suite', () => { test('inner good', () => {}); test('inner bad', () => { throw new Error('x') }) })
     describe('whole suite', { skip: 'no broker' }, () => { test('a', () => {}); test('b', () => {}) })
     describe('hook', () => { before(() => { throw new Error('x') }); test('never', () => {}) })`
  )
  assert.deepEqual({ passed, failed, skipped }, { passed: 2, failed: 4, skipped: 2 })
  assert.deepEqual(
    failures.map((line) => line.split(': ')[1]),
    ['bad', 'inner bad', 'never', 'hook']
  )
  assert.match(skips.join(), /not here \(no token\),.*whole suite \(no broker\)$/)
})

test('a file that breaks on import, has no test, or never gets to its tests has failed', async () => {
  assert.equal((await tally('absent', `import './nowhere.ts'`)).failed, 1)
  assert.equal((await tally('empty', '')).failed, 1)
  assert.equal(
    (await tally('stuck', `net.createServer().listen(0); await new Promise(() => {})`, 15_000, 1500)).failed,
    1
  )
})

test('no result is lost, however many there are', async () => {
  const { passed } = await tally('many', `for (let i = 0; i < 2000; i++) test('test number ' + i, () => {})`)
  assert.equal(passed, 2000)
})

test('a test that hangs fails, and one that leaves a server open does not hold up the run', async () => {
  assert.equal(
    (await tally('hangs', `test('h', () => new Promise(() => net.createServer().listen(0)))`, 300)).failed,
    1
  )
  const { passed, failed } = await tally('leaks', `test('l', () => { net.createServer().listen(0) })`, 300)
  assert.deepEqual({ passed, failed }, { passed: 1, failed: 0 })
})
