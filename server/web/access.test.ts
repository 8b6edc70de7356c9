import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { csrfTokenOf, openAccess, writeSetupCode } from './access.ts'

const folder = mkdtempSync(join(tmpdir(), 'access-'))
after(() => rmSync(folder, { recursive: true }))
let count = 0
const freshState = () => join(folder, String(++count))

test('the code has 128 random bits, stands in a 0600 file, and is another one each time', async () => {
  const access = await openAccess(freshState())
  const [first, second] = [await access.newCode(), await access.newCode()]
  assert.match(first, /^([0-9a-f]{4}-){7}[0-9a-f]{4}$/)
  assert.notEqual(first, second)
  assert.equal(statSync(access.codeFile).mode & 0o777, 0o600)
  assert.equal(await access.claim(first, 'browser'), null)
})

test('the code is exchanged once, even when two ask at the same time', async () => {
  const access = await openAccess(freshState())
  const code = await access.newCode()
  const tokens = await Promise.all([access.claim(code, 'browser'), access.claim(code, 'script')])
  assert.equal(tokens.filter((token) => token !== null).length, 1)
  assert.equal(existsSync(access.codeFile), false)
  assert.equal(await access.claim(code, 'browser'), null)
})

test('a code is read with or without its hyphens and in either case', async () => {
  const access = await openAccess(freshState())
  const code = await access.newCode()
  assert.ok(await access.claim(` ${code.replaceAll('-', '').toUpperCase()} `, 'browser'))
})

test('a session outlives a restart, is kept as a hash only, and is of one kind', async () => {
  const stateDir = freshState()
  const access = await openAccess(stateDir)
  const token = await access.claim(await access.newCode(), 'browser')
  assert.ok(token)
  assert.equal(readFileSync(join(stateDir, 'sessions.json'), 'utf8').includes(token), false)
  const restarted = await openAccess(stateDir)
  assert.equal(restarted.holds(token, 'browser'), true)
  assert.equal(restarted.holds(token, 'script'), false)
  assert.equal(restarted.holds('guess', 'browser'), false)
})

test('a code that is older than a day is void', async () => {
  const access = await openAccess(freshState())
  const code = await access.newCode()
  const made = (hours: number) => new Date(Date.now() - hours * 3_600_000)
  utimesSync(access.codeFile, made(25), made(25))
  assert.equal(await access.claim(code, 'browser'), null)
  utimesSync(access.codeFile, made(23), made(23))
  assert.ok(await access.claim(code, 'browser'))
})

test('closing ends every session and voids the code', async () => {
  const access = await openAccess(freshState())
  const token = await access.claim(await access.newCode(), 'browser')
  const unused = await access.newCode()
  await access.close()
  assert.equal(access.holds(token ?? '', 'browser'), false)
  assert.equal(await access.claim(unused, 'browser'), null)
})

test('keyscaler code makes one that the running wizard takes', async () => {
  const stateDir = freshState()
  const access = await openAccess(stateDir)
  assert.ok(await access.claim(await writeSetupCode(stateDir), 'script'))
})

test('each session has a CSRF token of its own', () => {
  assert.notEqual(csrfTokenOf('one'), csrfTokenOf('other'))
})

test('a session for a password opens nothing else, and ends alone', async () => {
  const access = await openAccess(freshState())
  const password = await access.claim(await access.newCode(), 'password')
  const browser = await access.claim(await access.newCode(), 'browser')
  assert.ok(password !== null && browser !== null)
  assert.deepEqual(
    (['password', 'browser', 'script'] as const).map((kind) => access.holds(password, kind)),
    [true, false, false]
  )
  assert.equal(access.holds(browser, 'password'), false)
  await access.end(password)
  assert.deepEqual([access.holds(password, 'password'), access.holds(browser, 'browser')], [false, true])
})
