import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
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

test('a boot file that was cut off is named, with what to do, and nothing of it is quoted', async () => {
  const stateDir = join(folder, 'torn')
  await openBootFile(stateDir)
  const path = join(stateDir, 'boot.json')
  const { size } = statSync(path)
  const refused = (error: unknown) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'internal')
    assert.equal(error.message.startsWith(`${path} is damaged: `), true, error.message)
    assert.match(error.cure ?? '', /run keyscaler restore/)
    return true
  }
  for (const left of [size - 2, Math.round(size / 2), 0]) {
    truncateSync(path, left)
    await assert.rejects(openBootFile(stateDir), refused)
  }
  for (const text of ['{}', 'word-of-a-secret']) {
    writeFileSync(path, text)
    await assert.rejects(openBootFile(stateDir), refused)
    await assert.rejects(openBootFile(stateDir), (error) => !String(error).includes('secret'))
  }
})

test('so is a damaged file of the key store', async () => {
  const path = join(folder, 'key-store.json')
  writeFileSync(path, '{"profile":', { mode: 0o600 })
  await assert.rejects(readKeyStoreRecord(folder), (error) => String(error).includes(`${path} is damaged`))
})
