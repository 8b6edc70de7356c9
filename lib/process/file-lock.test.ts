import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { acquireFileLock } from './file-lock.ts'
import { startTimeOf } from './start-time.ts'

const folder = mkdtempSync(join(tmpdir(), 'file-lock-'))
after(() => rmSync(folder, { recursive: true }))
let rooms = 0
const freshPath = () => join(mkdtempSync(join(folder, `room-${++rooms}-`)), 'a.lock')

/** What a process that is gone would have written. */
const wordsOfDead = (): string => {
  const { pid } = spawnSync('/bin/true')
  return `${pid} 1 ${randomInt(2 ** 40)}`
}
const wordsOfLiving = () => `${process.pid} ${startTimeOf(process.pid)} other`
const claimOn = (path: string, words: string) =>
  `${path}.claim-${createHash('sha256').update(words).digest('hex').slice(0, 24)}`

describe('a lock file', () => {
  it('is held by one until it is given back, and giving it back twice gives nothing of another away', async () => {
    const path = freshPath()
    const release = await acquireFileLock(path, 0)
    assert.ok(release !== null)
    assert.equal(await acquireFileLock(path, 30), null)
    release()
    const second = await acquireFileLock(path, 0)
    assert.ok(second !== null)
    release()
    assert.equal(await acquireFileLock(path, 0), null)
    second()
    assert.deepEqual(readdirSync(join(path, '..')), [])
  })

  it('is taken over from the dead, from dead claimants too, and leaves nothing of theirs', async () => {
    for (const claimants of [0, 1, 3]) {
      const path = freshPath()
      let last = wordsOfDead()
      writeFileSync(path, last)
      for (let i = 0; i < claimants; i++) {
        const next = wordsOfDead()
        writeFileSync(claimOn(path, last), next)
        last = next
      }
      const release = await acquireFileLock(path, 0)
      assert.ok(release !== null, `${claimants} claimants`)
      assert.equal(Number.parseInt(readFileSync(path, 'utf8'), 10), process.pid)
      assert.deepEqual(readdirSync(join(path, '..')), ['a.lock'])
      release()
    }
  })

  it('that is torn by a power cut is taken over', async () => {
    const path = freshPath()
    writeFileSync(path, '')
    assert.notEqual(await acquireFileLock(path, 0), null)
  })

  it('is left to a living process that has claimed it', async () => {
    const path = freshPath()
    const dead = wordsOfDead()
    writeFileSync(path, dead)
    writeFileSync(claimOn(path, dead), wordsOfLiving())
    assert.equal(await acquireFileLock(path, 50), null)
    assert.equal(readFileSync(path, 'utf8'), dead)
  })
})

/**
 * Takes the lock again and again without a pause, and now and then kills itself in it, or another wherever that one is: while
 * it claims, takes over, gives back. The witness is a name of the kernel that only one process can have, and that dies with it.
 */
const fighter = `
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { acquireFileLock } from ${JSON.stringify(new URL('./file-lock.ts', import.meta.url).href)}
const [path, witness] = process.argv.slice(1)
process.send('ready')
const [pids] = await once(process, 'message')
for (;;) {
  const release = await acquireFileLock(path, 0)
  await turn()
  if (release === null) continue
  const server = createServer()
  await new Promise((resolve) => {
    server.once('error', () => process.exit(9))
    server.listen('\\0' + witness, resolve)
  })
  process.send('held')
  const fate = Math.random()
  const struck = fate < 0.1 ? process.pid : pids[Math.floor(Math.random() * pids.length)]
  try {
    if (fate < 0.2) process.kill(struck, 'SIGKILL')
  } catch {
    // Dead already.
  }
  await new Promise((resolve) => server.close(resolve))
  release()
}`

describe('processes that fight for a lock and kill each other', () => {
  for (const round of [1, 2]) {
    it(`hold it one at a time, and the dead keep nobody waiting (${round})`, { timeout: 60_000 }, async () => {
      const path = freshPath()
      const witness = `keyscaler-file-lock-${process.pid}-${randomInt(2 ** 40)}`
      const fighters = Array.from({ length: 8 }, () =>
        spawn(process.execPath, ['--input-type=module', '-e', fighter, path, witness], {
          stdio: ['ignore', 'ignore', 'inherit', 'ipc']
        })
      )
      after(() => fighters.map((child) => child.kill('SIGKILL')))
      const ends = fighters.map((child) => once(child, 'exit'))
      await Promise.all(fighters.map((child) => once(child, 'message')))
      let holds = 0
      let longest = 0
      let last = performance.now()
      for (const child of fighters) {
        child.on('message', () => {
          holds++
          longest = Math.max(longest, performance.now() - last)
          last = performance.now()
        })
        child.send(fighters.map(({ pid }) => pid))
      }
      // Until all but one are dead, which is killed wherever it is.
      let dead = 0
      await new Promise<void>((resolve) => {
        for (const child of fighters) child.once('exit', () => ++dead === fighters.length - 1 && resolve())
      })
      for (const child of fighters) child.kill('SIGKILL')
      const codes = (await Promise.all(ends)).map(([code]) => code)
      assert.deepEqual(
        codes.filter((code) => code !== null),
        [],
        'none has met another in it'
      )
      assert.ok(holds >= 5 && longest < 5_000, `${holds} holds, ${longest} ms without one`)
      const began = performance.now()
      assert.notEqual(await acquireFileLock(path, 5_000), null)
      assert.ok(performance.now() - began < 1_000, 'what the last one left is taken over at once')
    })
  }
})
