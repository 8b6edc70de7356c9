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
  const leave = await takeStateLock(stateDir)
  await assert.rejects(takeStateLock(stateDir), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'conflict')
    assert.match(error.message, new RegExp(`pid ${process.pid}, since 20\\d\\d-`))
    return true
  })
  leave()
  assert.equal(existsSync(join(stateDir, 'wizard.lock')), false)
  const again = await takeStateLock(stateDir)
  again()
})

test('the lock of a process that is gone is taken over', async () => {
  const { pid } = spawnSync('true')
  writeFileSync(join(stateDir, 'wizard.lock'), `${pid} 1`, { mode: 0o600 })
  const again = await takeStateLock(stateDir)
  again()
})
