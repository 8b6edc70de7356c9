import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError } from '../../../lib/errors/app-error.ts'
import { createToken, listTokens, revokeAllTokens, revokeToken, scopeOfToken } from './tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'tokens-'))
after(() => rmSync(folder, { recursive: true }))
let count = 0
const freshState = () => join(folder, String(++count))
const hour = 3_600_000
const files = (stateDir: string) => readdirSync(join(stateDir, 'tokens')).map((name) => join(stateDir, 'tokens', name))

test('a token is good for its scope, and only its hash is kept, for us alone', async () => {
  const stateDir = freshState()
  const { token } = await createToken(stateDir, 'read', hour)
  assert.match(token, /^ks_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
  assert.equal(scopeOfToken(stateDir, token), 'read')
  assert.equal(scopeOfToken(stateDir, (await createToken(stateDir, 'setup', hour)).token), 'setup')
  const secret = token.slice(20)
  for (const path of files(stateDir)) {
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(readFileSync(path, 'utf8').includes(secret), false)
  }
  assert.equal(files(stateDir).length, 2)
})

test('what only looks like a token, or like a path, is none', async () => {
  const stateDir = freshState()
  const { token } = await createToken(stateDir, 'setup', hour)
  const other = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const strange = ['', 'ks_', other, `${token} `, token.toUpperCase(), `ks_../../../boot_${'A'.repeat(43)}`]
  for (const wrong of strange) assert.equal(scopeOfToken(stateDir, wrong), null, wrong)
  assert.equal(scopeOfToken(freshState(), token), null, 'of another install')
})

test('it ends by itself, and what has ended is swept when the next is made', async (t) => {
  const stateDir = freshState()
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const { token, expiresAt } = await createToken(stateDir, 'setup', hour)
  assert.equal(Date.parse(expiresAt), Date.now() + hour)
  t.mock.timers.tick(hour - 1)
  assert.equal(scopeOfToken(stateDir, token), 'setup')
  t.mock.timers.tick(1)
  assert.equal(scopeOfToken(stateDir, token), null)
  assert.deepEqual(await listTokens(stateDir), [])
  await createToken(stateDir, 'read', hour)
  assert.equal(files(stateDir).length, 1)
})

test('revoking ends one at once and leaves the others; finishing setup ends them all', async () => {
  const stateDir = freshState()
  const made = await Promise.all([1, 2, 3].map(() => createToken(stateDir, 'setup', hour)))
  const [first, second] = made
  assert.ok(first !== undefined && second !== undefined)
  assert.equal((await listTokens(stateDir)).length, 3, 'made at once, none is lost')
  await revokeToken(stateDir, first.id)
  assert.deepEqual([scopeOfToken(stateDir, first.token), scopeOfToken(stateDir, second.token)], [null, 'setup'])
  for (const id of [first.id, '../boot', '']) {
    await assert.rejects(
      revokeToken(stateDir, id),
      (thrown) => thrown instanceof AppError && thrown.code === 'not-found'
    )
  }
  assert.equal(JSON.stringify(await listTokens(stateDir)).includes('hash'), false)
  await revokeAllTokens(stateDir)
  assert.equal(scopeOfToken(stateDir, second.token), null)
})

test('a file that others may read, or that is torn, opens nothing; a life over 30 days is refused', async () => {
  const stateDir = freshState()
  const { token } = await createToken(stateDir, 'setup', hour)
  const [path = ''] = files(stateDir)
  chmodSync(path, 0o640)
  assert.equal(scopeOfToken(stateDir, token), null)
  chmodSync(path, 0o600)
  assert.equal(scopeOfToken(stateDir, token), 'setup')
  writeFileSync(path, readFileSync(path, 'utf8').slice(0, 40))
  assert.equal(scopeOfToken(stateDir, token), null)
  await assert.rejects(createToken(stateDir, 'setup', 31 * 24 * hour), /at most 30 days/)
})
