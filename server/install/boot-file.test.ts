import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { openBootFile } from './boot-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'boot-file-'))
after(() => rmSync(folder, { recursive: true }))

test('an empty state folder begins an install, and opening it again finds the same one', async () => {
  const stateDir = join(folder, 'fresh')
  mkdirSync(stateDir)
  const first = await openBootFile(stateDir)
  const again = await openBootFile(stateDir)
  assert.equal(again.state().install, first.state().install)
})

test('the boot file is 0600 and leaves no temporary file behind', async () => {
  const stateDir = join(folder, 'private')
  mkdirSync(stateDir)
  const boot = await openBootFile(stateDir)
  await Promise.all([1, 2, 3].map((n) => boot.change((state) => ({ ...state, finishedAt: `2026-01-0${n}` }))))
  assert.equal(statSync(join(stateDir, 'boot.json')).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(stateDir), ['boot.json'])
  assert.equal((await openBootFile(stateDir)).state().finishedAt, '2026-01-03')
})

test('traces of an install without its boot file mean locked, not a fresh start', async () => {
  const stateDir = join(folder, 'lost')
  mkdirSync(join(stateDir, 'credentials'), { recursive: true })
  await assert.rejects(openBootFile(stateDir), (error) => error instanceof AppError && error.code === 'locked')
  assert.deepEqual(readdirSync(stateDir), ['credentials'])
})
