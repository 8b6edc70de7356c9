import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startChild, whenReady } from './child.ts'
import { whyNoApacheKafka } from './kafka.ts'

const dir = mkdtempSync(join(tmpdir(), 'ks-'))
after(() => rmSync(dir, { recursive: true, force: true }))
const log = (name: string): string => join(dir, `${name}.log`)

/** A program that starts a whole sandbox, says its pids, and would then run for ever. */
function startVictim(kafka: string): Promise<{ pid: number; servers: Record<string, number>; dir: string }> {
  const source = `
    import { startSandbox } from '${join(import.meta.dirname, 'sandbox.ts')}'
    const s = await startSandbox({ parts: ['mariadb', 'memcached', 'kafka'] })
    const servers = { mariadb: s.mariadb.child.pid, memcached: s.memcached.child.pid, kafka: s.kafka.child.pid }
    console.log(JSON.stringify({ pid: process.pid, servers, dir: s.dir }))
    setInterval(() => {}, 1000)`
  const victim = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, KEYSCALER_SANDBOX_KAFKA: kafka }
  })
  return new Promise((resolve, reject) => {
    createInterface({ input: victim.stdout }).once('line', (line) => resolve(JSON.parse(line)))
    victim.once('exit', (code) => reject(new Error(`the program ended with code ${code} before its servers were up`)))
  })
}

/** Gone means: no such process, or one that is dead and only waits for init to read its exit code. */
function isGone(pid: number): boolean {
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || readFileSync(stat, 'utf8').split(') ')[1]?.[0] === 'Z'
}

for (const kafka of ['mock', 'apache']) {
  const skip = (kafka === 'apache' && whyNoApacheKafka()) || false
  test(`SIGKILL of the parent takes MariaDB, memcached and ${kafka} Kafka with it`, { skip }, async () => {
    const victim = await startVictim(kafka)
    after(() => rmSync(victim.dir, { recursive: true, force: true }))
    const pids = Object.values(victim.servers)
    assert.equal(pids.length, 3)
    assert.deepEqual(pids.filter(isGone), [], 'all three run before the kill')
    process.kill(victim.pid, 'SIGKILL')
    const deadline = Date.now() + 5000
    while (!pids.every(isGone) && Date.now() < deadline) await pause(10)
    assert.deepEqual(
      Object.entries(victim.servers).filter(([, pid]) => !isGone(pid)),
      [],
      'none is left'
    )
  })
}

test('a program that ends before it is ready is an error with the end of its log', async () => {
  const child = startChild({ name: 'sh', command: 'sh', args: ['-c', 'echo no room; exit 3'], logFile: log('ends') })
  await assert.rejects(
    whenReady(child, async () => false, 5000),
    /^Error: sh ended with code 3; the end of .*\n {2}no room$/
  )
})

test('a program that is never ready is an error after its time, and is stopped', async () => {
  const child = startChild({ name: 'sleep', command: 'sleep', args: ['60'], logFile: log('never') })
  await assert.rejects(
    whenReady(child, async () => false, 100),
    /sleep was not ready within 0\.1 s/
  )
  assert.equal(child.ending(), 'signal SIGKILL')
})

test('a program that ignores a polite stop is killed after its time', async () => {
  const child = startChild({
    name: 'stubborn',
    command: 'sh',
    args: ['-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'],
    logFile: log('stubborn'),
    stopWithinMs: 100
  })
  await whenReady(child, async () => readFileSync(child.logFile, 'utf8') === 'up\n', 5000)
  await child.stop()
  assert.equal(child.ending(), 'signal SIGKILL')
})

test('an absent program is an error that names it', async () => {
  const child = startChild({ name: 'absent', command: 'no-such-program', args: [], logFile: log('absent') })
  await assert.rejects(
    whenReady(child, async () => false, 5000),
    /absent ended with code 127.*no-such-program/s
  )
})
