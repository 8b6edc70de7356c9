/** The real machine is only looked at here. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../../sandbox/root.ts'
import { stateFolder } from '../steps/testing.ts'

function prerequisites(...args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [fromRoot('server/cli.mjs'), 'prerequisites', ...args], (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr })
    )
  })
}

test('keyscaler prerequisites shows each item of this machine, and changes nothing', async () => {
  const state = join(stateFolder(), 'to-be')
  const { code, stdout, stderr } = await prerequisites('--state', state, '--kafka', '--output', 'json')
  assert.equal(stderr, '')
  const { changed, items } = JSON.parse(stdout)
  assert.equal(changed, false)
  const ids = items.map(({ id }: { id: string }) => id)
  assert.deepEqual(ids, ['time', 'database-server', 'memcached', 'java', 'database', 'firewall', 'certificate'])
  const states = items.map((item: { state: string }) => item.state)
  for (const one of states) assert.match(one, /^(there|missing|unknown)$/)
  assert.equal(code, states.includes('missing') ? 4 : 0)
  assert.ok(!existsSync(state))
})

test('what runs elsewhere is left out, its database with the server; a slip is answered with what was meant', async () => {
  const less = ['--without', 'database-server', '--without', 'memcached', '--output', 'json']
  const { stdout } = await prerequisites('--state', stateFolder(), ...less)
  const ids = JSON.parse(stdout).items.map(({ id }: { id: string }) => id)
  assert.deepEqual(ids, ['time', 'firewall', 'certificate'])
  const wrong = await prerequisites('--state', stateFolder(), '--without', 'databse')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /There is no item databse .*Did you mean database\?/)
  const port = await prerequisites('--state', stateFolder(), '--open', 'abc')
  assert.deepEqual([port.code, port.stderr], [2, 'keyscaler: --open must be 0–65535, not abc.\n'])
})
