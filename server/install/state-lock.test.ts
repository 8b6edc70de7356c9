import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { takeStateLock } from './state-lock.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'state-lock-'))
after(() => rmSync(stateDir, { recursive: true }))

test('a second one is told who works here and since when, and gets in after the first has left', async () => {
  const leave = await takeStateLock(stateDir, 'keyscaler serve')
  await assert.rejects(takeStateLock(stateDir, 'keyscaler apply'), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'conflict')
    assert.match(error.message, new RegExp(`keyscaler serve \\(pid ${process.pid}\\) has worked here since 20`))
    return true
  })
  await leave()
  assert.equal(existsSync(join(stateDir, 'wizard.lock')), false)
  await (await takeStateLock(stateDir, 'keyscaler apply'))()
})

test('the lock of a process that is gone is taken over', async () => {
  const { pid } = spawnSync('true')
  const dead = { pid, startTime: '1', command: 'keyscaler serve', since: '2026-01-01T00:00:00.000Z' }
  writeFileSync(join(stateDir, 'wizard.lock'), JSON.stringify(dead), { mode: 0o600 })
  await (await takeStateLock(stateDir, 'keyscaler serve'))()
})
