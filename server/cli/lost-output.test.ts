/** `keyscaler` whose output nobody takes: a reader that has gone, and a disk that is full (/dev/full). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { openBootFile } from '../install/boot-file.ts'
import { createToken, listTokens } from '../web/api/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'lost-output-'))
after(() => rmSync(folder, { recursive: true }))

/** Closed: before it prints anything, its reader has gone; full: a disk without room. */
async function keyscaler(stdout: 'closed' | 'full', ...args: readonly string[]) {
  const full = openSync('/dev/full', 'w')
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'cli.mjs'), ...args], {
    stdio: ['ignore', stdout === 'full' ? full : 'pipe', 'pipe']
  })
  closeSync(full)
  child.stdout?.destroy()
  assert.ok(child.stderr)
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  return { code, stderr }
}

async function install(name: string): Promise<string> {
  const stateDir = join(folder, name)
  await openBootFile(stateDir)
  return stateDir
}

test('a reader who has gone is told nothing, and the command ends as it would have', async () => {
  const stateDir = await install('read')
  await createToken(stateDir, 'read', 60_000)
  const ended = await Promise.all([
    keyscaler('closed', 'token', 'list', '--state', stateDir),
    keyscaler('closed', 'config', 'schema'),
    keyscaler('closed', '--help')
  ])
  for (const end of ended) assert.deepEqual(end, { code: 0, stderr: '' })
  const refused = await keyscaler('closed', 'record', 'show', '--state', stateDir)
  assert.deepEqual([refused.code, /There is no record/.test(refused.stderr)], [6, true], refused.stderr)
})

test('what a full disk does not take is told on stderr, and the command does not end with 0', async () => {
  const stateDir = await install('full')
  await createToken(stateDir, 'read', 60_000)
  const ended = await Promise.all([
    keyscaler('full', 'token', 'list', '--state', stateDir),
    keyscaler('full', 'config', 'schema'),
    keyscaler('full', '--help')
  ])
  for (const { code, stderr } of ended) {
    assert.deepEqual([code, stderr.match(/ENOSPC/g)?.length, /\n +at /.test(stderr)], [6, 1, false], stderr)
  }
})

test('a destroy that nobody reads any more goes on to its end', async () => {
  for (const [stdout, code] of [
    ['closed', 0],
    ['full', 6]
  ] as const) {
    const stateDir = await install(`destroy-${stdout}`)
    const end = await keyscaler(stdout, 'destroy', '--state', stateDir, '--yes', '--output', 'json')
    assert.deepEqual(
      [end.code, existsSync(stateDir), /Nothing is left/.test(end.stderr)],
      [code, false, true],
      end.stderr
    )
  }
})

test('a token that nobody could read is good for nothing', async () => {
  const stateDir = await install('token')
  for (const stdout of ['closed', 'full'] as const) {
    const { code, stderr } = await keyscaler(stdout, 'token', 'create', '--scope', 'setup', '--state', stateDir)
    assert.deepEqual([code, /it was revoked at once/.test(stderr), await listTokens(stateDir)], [6, true, []], stderr)
  }
  assert.deepEqual(readdirSync(stateDir).includes('tokens'), true, 'it had been made')
})
