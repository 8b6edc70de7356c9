/** docs/errors.md and the page /help/errors against the code, both ways. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError, errorCodes } from '../lib/errors/app-error.ts'
import { ckrTable } from '../lib/keystore/ckr.ts'
import { openLog } from '../lib/log/log.ts'
import { exitCodes } from '../lib/service/exit-codes.ts'
import { codeOfProblem, problemOf } from '../lib/service/problems.ts'
import { ending } from '../server/cli/console.ts'
import { errorRows } from '../server/web/error-help.ts'
import { wizardFrame } from '../server/web/wizard-app.ts'

const page = readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8')

/** The rows of the table under a heading, each as its cells without backticks. */
function tableUnder(heading: string): string[][] {
  const [, after = ''] = page.split(`\n## ${heading}\n`)
  const lines = (after.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| '))
  return lines.slice(2).map((line) =>
    line
      .replace(/^\| | \|$/g, '')
      .split(' | ')
      .map((cell) => cell.replace(/^`([^`]*)`$/, '$1'))
  )
}

/** The codes that `keyscaler` ends with when its work throws these. */
async function exitsOf(t: TestContext, thrown: readonly Error[]): Promise<unknown[]> {
  const ended: unknown[] = []
  const exit = t.mock.method(process, 'exit', (code?: number): never => {
    ended.push(code)
    throw new Error('would end here')
  })
  const stderr = t.mock.method(process.stderr, 'write', () => true)
  try {
    for (const error of thrown) await assert.rejects(ending(() => Promise.reject(error)))
  } finally {
    exit.mock.restore()
    stderr.mock.restore()
  }
  return ended
}

test('docs/errors.md has a row for every code, and every row is a code: status, exit code, title and words as they are', async (t) => {
  const errors = errorRows.map(({ code }) => new AppError(code, 'x'))
  const exits = await exitsOf(t, errors)
  const rows = errorRows.map(({ code, title, means, todo }, at) => {
    const { status } = problemOf(errors[at], 'x')
    return [code, String(status), String(exits[at]), title, means, todo]
  })
  assert.deepEqual(tableUnder('Codes'), rows)
  assert.deepEqual(
    rows.map(([code]) => code),
    [...errorCodes]
  )
})

test('docs/errors.md has every PKCS#11 return code as lib/keystore/ckr.ts has it, and no other', () => {
  const rows = ckrTable.map(({ code, name, class: kind, say, cure, guide }) => {
    const place = guide?.replace('Guide: ', '') ?? '–'
    return [`0x${code.toString(16).toUpperCase().padStart(8, '0')}`, name, kind, say, cure, place]
  })
  assert.ok(rows.length > 100)
  assert.deepEqual(tableUnder('PKCS#11 return codes'), rows)
})

test('the exit codes that the supervisor knows are the ones that are documented', () => {
  const [, prose = ''] = page.split('\nA service (')
  assert.match(prose, new RegExp(`· ${exitCodes.badConfig} configuration refused: not\\s+restarted`))
  assert.match(prose, new RegExp(`· ${exitCodes.pinRejected} the PIN was rejected: latched`))
})

test('the type of every problem leads to a page of its own, and /help/errors to all of them', async (t) => {
  const app = await wizardFrame({ log: openLog('test', 'silent'), tls: false, allowedHosts: ['localhost'] })
  t.after(() => app.close())
  const ask = (url: string, accept: string) => app.inject({ url, headers: { host: 'localhost', accept } })
  const escaped = (words: string) => words.replaceAll('"', '&quot;').replaceAll("'", '&#39;')
  const { body: all } = await ask('/help/errors', 'text/html')
  for (const { code, title, status, means, todo } of errorRows) {
    const { type } = problemOf(new AppError(code, 'x'), 'x')
    assert.ok(all.includes(`<h2 id="${code}"><a href="${type}">${title}</a>`), code)
    assert.deepEqual([codeOfProblem(type), codeOfProblem(`/help/errors#${code}`)], [code, code])
    const page = await ask(type, 'text/html')
    assert.equal(page.statusCode, 200, type)
    for (const words of [`HTTP status ${status}<`, `<p>${means}</p>`, `<p>${todo}</p>`]) {
      assert.ok(page.body.includes(escaped(words)), words)
      assert.ok(all.includes(escaped(words)), words)
    }
    assert.ok(page.body.includes(`<h1>${title}</h1>`))
    assert.deepEqual((await ask(type, 'application/json')).json(), { code, status, title, means, todo })
  }
  assert.equal(all.match(/<h2 /g)?.length, errorCodes.length)
  assert.equal(codeOfProblem('about:blank'), null)
  const unknown = await ask('/problems/review', '*/*')
  assert.equal(unknown.statusCode, 404)
})
