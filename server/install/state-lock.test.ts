import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError } from '../../lib/errors/app-error.ts'
import { startTimeOf } from '../../lib/process/start-time.ts'
import { takeStateLock } from './state-lock.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'state-lock-'))
after(() => rmSync(stateDir, { recursive: true }))

test('a second one is told who works here and since when, and gets in after the first has left', async () => {
  const leave = await takeStateLock(stateDir)
  await assert.rejects(takeStateLock(stateDir), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.code, 'conflict')
    assert.match(error.message, new RegExp(`pid ${process.pid}, since 20\\d\\d-`))
    assert.match(error.cure ?? '', /^Wait for it/)
    return true
  })
  leave()
  assert.equal(existsSync(join(stateDir, 'wizard.lock')), false)
  const again = await takeStateLock(stateDir)
  again()
})

test('where keyscaler serve works there is nothing to wait for: it is stopped, or takes the answers itself', async () => {
  // A living process whose command line says so.
  const serving = spawn('cat', ['-', 'serve'], { stdio: ['pipe', 'ignore', 'ignore'], argv0: 'keyscaler' })
  await once(serving, 'spawn')
  const { pid = 0 } = serving
  const lock = join(stateDir, 'wizard.lock')
  writeFileSync(lock, `${pid} ${startTimeOf(pid)}`, { mode: 0o600 })
  try {
    await assert.rejects(takeStateLock(stateDir), (error) => {
      assert.ok(error instanceof AppError)
      assert.match(error.cure ?? '', /^It is keyscaler serve: stop it.*POST \/setup\/apply/)
      return true
    })
  } finally {
    serving.kill()
    rmSync(lock)
  }
})

test('the lock of a process that is gone is taken over', async () => {
  const { pid } = spawnSync('true')
  writeFileSync(join(stateDir, 'wizard.lock'), `${pid} 1`, { mode: 0o600 })
  const again = await takeStateLock(stateDir)
  again()
})
