/** What `keyscaler apply` does before it has an install: no servers are needed. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { stateFolder } from '../steps/testing.ts'
import { startKeyscaler } from '../testing/keyscaler.ts'

const folder = stateFolder()
const answers = join(folder, 'answers.yaml')
writeFileSync(answers, 'apiVersion: setup/v1\nsteps: {}\n', { mode: 0o600 })
const start = (...args: readonly string[]) => startKeyscaler(args, { confPath: folder, home: folder, kafka: 'mock' })

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} while it is still opening the install ends it with 130`, { timeout: 60_000 }, async () => {
    const stateDir = join(folder, signal)
    mkdirSync(stateDir, { mode: 0o700 })
    const boot = join(stateDir, 'boot.json')
    execFileSync('mkfifo', ['-m', '600', boot])
    const apply = start('apply', answers, '--exit', '--state', stateDir)
    // Opened only when it reads there, and it goes on reading until this is closed.
    const held = await open(boot, 'w')
    const said = apply.said(/Stopped before anything was begun/)
    process.kill(apply.pid, signal)
    await said
    await held.close()
    const { code, stdout, stderr } = await apply.ended
    assert.deepEqual([code, stdout], [130, ''], stderr)
  })
}
