import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** What a program of its own prints: the log writes to the process's stdout. */
function printedBy(statements: string): { readonly text: string; readonly lines: readonly Record<string, unknown>[] } {
  const program = `
    import Fastify from 'fastify'
    import { openLog } from '${join(import.meta.dirname, 'log.ts')}'
    const log = openLog('test', 'debug')
    const error = Object.assign(new Error('denied'), { code: 'ER_X', sql: "IDENTIFIED BY 'hunter2'", settings: { p: 'hunter2' } })
    ${statements}`
  const text = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: join(import.meta.dirname, '../..'),
    encoding: 'utf8'
  })
  return {
    text,
    lines: text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
}

test('an error is logged by its name, message, code and stack; the statement that a driver hangs on it is not', () => {
  const { text, lines } = printedBy(`
    log.error({ err: error }, 'plain')
    log.error({ err: new Error('outer', { cause: error }) }, 'caused')
    log.error({ err: new AggregateError([error], 'several') }, 'several')
    log.error({ err: Object.assign(new Error('holder'), { inner: error }) }, 'held')
    log.error({ err: 'a text' }, 'thrown text')`)
  assert.doesNotMatch(text, /hunter2/)
  const errors = lines.map(({ err }) => err as { message: string; code?: string; stack?: string })
  assert.deepEqual(
    errors.map(({ message }) => message),
    ['denied', 'outer: denied', 'several', 'holder', 'a text']
  )
  assert.equal(errors[0]?.code, 'ER_X')
  assert.match(errors[1]?.stack ?? '', /caused by: Error: denied/)
  assert.match(text, /"errors":\[\{"type":"Error","message":"denied"/)
})

test('so it is in the logs of requests, and what a request brings is not logged', () => {
  const { text } = printedBy(`
    const app = Fastify({ loggerInstance: log })
    app.post('/', async () => { throw error })
    await app.inject({ method: 'POST', url: '/', headers: { authorization: 'Bearer hunter2', cookie: 'a=hunter2' }, payload: { password: 'hunter2' } })`)
  assert.match(text, /"message":"denied"/)
  assert.match(text, /"url":"\/"/)
  assert.doesNotMatch(text, /hunter2/)
})

test('a value under the name of a secret is cut out, two levels deep', () => {
  const { lines } = printedBy(
    `log.info({ password: 'hunter2', a: { token: 'hunter2', b: { pin: 'hunter2' } }, user: 'ada' }, 'x')`
  )
  const { password, a, user } = lines[0] ?? {}
  assert.deepEqual(
    { password, a, user },
    { password: '[redacted]', a: { token: '[redacted]', b: { pin: '[redacted]' } }, user: 'ada' }
  )
})

test('a line stays a line, whatever is in it', () => {
  const { lines } = printedBy(`log.info({ host: 'a\\n{"level":"fatal"}\\u001b[2J' }, 'b\\r\\nc')`)
  assert.equal(lines.length, 1)
  assert.deepEqual([lines[0]?.host, lines[0]?.msg], ['a\n{"level":"fatal"}\u001b[2J', 'b\r\nc'])
})

test('a line that a full disk refuses holds nothing up: the program goes on', () => {
  const program = `
    import { openLog } from '${join(import.meta.dirname, 'log.ts')}'
    const log = openLog('test', 'info')
    log.info('one')
    log.info('two')
    process.stderr.write('goes on')`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL'
  })
  assert.deepEqual([status, String(stderr)], [0, 'goes on'])
})
