import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { fromRoot } from '../../sandbox/root.ts'
import { stateFolder } from '../steps/testing.ts'
import { hasInstall } from './boot-file.ts'
import { makeStateFolder } from './state-folder.ts'
import { takeStateLock } from './state-lock.ts'

const folder = stateFolder()
const file = join(folder, 'file')
writeFileSync(file, '')

function named(path: string, why: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof AppError, String(error))
    assert.equal(error.code, 'invalid-input')
    assert.ok(error.message.startsWith(`${path} cannot be the state folder: `), error.message)
    assert.match(error.message, why)
    assert.match(error.cure ?? '', /--state <folder>/)
    return true
  }
}

test('a state folder is made with those above it, all 0700, and one that is there is left as it is', async () => {
  const deep = join(folder, 'a', 'b', 'c')
  await Promise.all([makeStateFolder(deep), makeStateFolder(deep)])
  for (const path of [deep, join(folder, 'a')]) assert.equal(statSync(path).mode & 0o777, 0o700)
  const open = join(folder, 'open')
  mkdirSync(open, { mode: 0o755 })
  await makeStateFolder(open)
  assert.equal(statSync(open).mode & 0o777, 0o755)
})

test('a file, a path through a file and a folder in which nothing can be made are named, with the cure', async () => {
  await assert.rejects(makeStateFolder(file), named(file, /not a folder/))
  await assert.rejects(makeStateFolder(join(file, 'state')), named(join(file, 'state'), /a part of its path/))
  await assert.rejects(takeStateLock('/proc'), named('/proc', /nothing can be made there|may not write/))
  await assert.rejects(hasInstall(file), named(file, /a part of its path/))
})

// In a child: where it is wrong it never comes back. That of apply is in server/cli/plan.test.ts.
test('keyscaler serve into a folder of /proc ends with 3 and names it', () => {
  const { status, stderr, signal } = spawnSync(
    process.execPath,
    [fromRoot('server/cli.mjs'), 'serve', '--port', '0', '--state', '/proc/nope'],
    { encoding: 'utf8', timeout: 30_000, killSignal: 'SIGKILL' }
  )
  assert.deepEqual([status, signal], [3, null], stderr)
  assert.match(stderr, /^keyscaler: \/proc\/nope cannot be the state folder: nothing can be made there\.$/m)
})
