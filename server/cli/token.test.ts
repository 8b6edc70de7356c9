/** `keyscaler token` from outside, and what its tokens open at the door of a wizard that runs. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openLog } from '../../lib/log/log.ts'
import { serve, type Wizard } from '../main.ts'

const folder = mkdtempSync(join(tmpdir(), 'token-'))
const stateDir = join(folder, 'state')
let wizard: Wizard

before(async () => {
  const options = { host: '127.0.0.1', port: 0, allowedHosts: [], suggestions: {}, log: openLog('wizard', 'silent') }
  wizard = await serve({ ...options, stateDir, say: () => {} })
})
after(async () => {
  await wizard.close(false)
  rmSync(folder, { recursive: true, force: true })
})

/** Not awaited in turn where it can be helped: a program's start is what takes the time. */
function keyscaler(...args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const cli = join(import.meta.dirname, '..', 'cli.mjs')
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, 'token', ...args], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    )
  })
}
const made = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await keyscaler('create', '--state', stateDir, ...args)
  assert.equal(code, 0, stderr)
  return stdout.trim()
}
const ask = (path: string, token: string, body?: object) =>
  fetch(wizard.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json', authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })

test('a token of scope read reads and does no more; one of scope setup does what the code does, until it is revoked', async () => {
  const [reader, writer] = await Promise.all([made('--scope', 'read'), made('--scope', 'setup', '--expires', '30m')])
  assert.equal((await ask('/setup/progress', reader)).status, 200)
  for (const path of ['/setup/steps/welcome', '/setup/steps/welcome/check', '/setup/steps/kms/change-password']) {
    const refused = await ask(path, reader, { acceptTerms: true })
    assert.equal(refused.status, 403, path)
    assert.match(refused.headers.get('www-authenticate') ?? '', /insufficient_scope/)
    const { type, cure } = (await refused.json()) as { type: string; cure: string }
    assert.deepEqual([type, cure], ['/problems/forbidden', 'keyscaler token create --scope setup'])
  }
  assert.equal((await ask('/setup/steps/welcome/check', writer, { acceptTerms: true })).status, 202)

  const id = writer.split('_')[1] ?? ''
  const { stdout } = await keyscaler('list', '--state', stateDir, '--output', 'json')
  assert.ok(JSON.parse(stdout).some((told: { id: string; scope: string }) => told.id === id && told.scope === 'setup'))
  assert.equal(stdout.includes(writer.slice(20)), false)
  assert.equal((await keyscaler('revoke', id, '--state', stateDir)).code, 0)
  const refused = await ask('/setup/progress', writer)
  assert.equal(refused.status, 401)
  assert.equal(refused.headers.get('www-authenticate'), 'Bearer realm="setup"')
})

test('a scope that is none, a time that is none and a folder without an install are refused', async () => {
  const scoped = ['create', '--scope', 'read', '--state']
  const [scope, time, elsewhere] = await Promise.all([
    keyscaler('create', '--state', stateDir, '--scope', 'all'),
    keyscaler(...scoped, stateDir, '--expires', '1y'),
    keyscaler(...scoped, join(folder, 'none'))
  ])
  assert.deepEqual([scope.code, time.code], [2, 2])
  assert.match(time.stderr, /--expires takes/)
  assert.match(elsewhere.stderr, /There is no install in/)
})
