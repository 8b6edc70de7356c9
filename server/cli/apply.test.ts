/** `keyscaler apply` from outside, over real servers: what it costs, what it leaves, and what it says on a bad day. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { readLunaState } from '../../sandbox/luna/state.ts'
import { serviceNames } from '../../services/catalog.ts'
import type { Keyscaler } from '../testing/keyscaler.ts'
import { repeats } from '../testing/tiers.ts'
import { programsOf, recordedPids, whatStands, wholeInstall } from '../testing/witness.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

interface Result {
  readonly wizard: string
}

describe('keyscaler apply', { concurrency: true, timeout: 240_000 }, () => {
  describe('with a wrong PIN', { concurrency: 1 }, withWrongPin)
  describe('interrupted, repeated, doubled', { concurrency: 1 }, badDays)
})

function withWrongPin(): void {
  let world: InstallWorld
  before(async () => {
    world = await openInstallWorld()
  })
  after(() => world.close())

  test('however often: one login is rejected, each run ends with 4 and says what to do', async () => {
    const { kms } = world.answers
    const answers = world.answersFile({ kms: { ...kms, password: 'the-password-of-last-year' } })
    for (let time = 1; time <= repeats; time++) {
      const { code, stdout, stderr } = await world.apply(answers).ended
      assert.equal(code, 4, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, time === 1 ? /password/i : /was rejected before, so it was not sent again/)
      assert.doesNotMatch(stderr, /the-password-of-last-year/)
    }
    const { rejections, logins } = await readLunaState(world.luna.confPath)
    assert.deepEqual({ rejections, logins }, { rejections: 1, logins: 1 })
    assert.deepEqual(world.processes(), [])
  })
}

function badDays(): void {
  let world: InstallWorld
  let answers: string
  let apply: Keyscaler
  let url: string
  before(async () => {
    world = await openInstallWorld()
    answers = world.answersFile()
  })
  after(() => world.close())

  test('in a terminal the steps are drawn in place, and Ctrl-C stops at the next safe point and says what stands', async () => {
    const terminal = ['sh', '-c', 'exec script -qec "$*" /dev/null', 'script']
    apply = world.applyUnder(terminal, answers, '--yes')
    await apply.said(/Key Management Service: waiting/)
    interrupt()
    const { code, stdout } = await apply.ended
    assert.equal(code, 130, stdout)
    const text = stripVTControlCharacters(stdout)
    assert.match(text, /^ . KMS Deployment +\d/m)
    assert.match(text, /It stopped at: Key Management Service: waiting[\s\S]*What stands:[\s\S]*done {2}key master/)
    assert.match(text, /Cancelled\. Run this again/)
    assert.deepEqual(world.processes(), [])
  })

  test('Ctrl-C twice ends at once; what runs goes on, and the next run takes it up', async () => {
    apply = world.apply(answers)
    await apply.said(/Key Management Service: waiting/)
    interrupt()
    await apply.said(/Stopping at the next safe point/)
    interrupt()
    const { code, stderr } = await apply.ended
    assert.equal(code, 130, stderr)
    assert.match(stderr, /What runs goes on running/)
  })

  test('SIGTERM while a service is awaited ends it at once with 130, and its services', async () => {
    apply = world.apply(answers)
    await apply.said(/Key Management Service: waiting/)
    const { code, stderr } = await apply.stop()
    assert.equal(code, 130, stderr)
    assert.match(stderr, /Run this again/)
    assert.deepEqual(world.processes(), [])
  })

  test('a port that somebody else has is named, to a program too, and nothing is left running', async () => {
    const taker = createServer().listen(world.ports.kms, '127.0.0.1')
    await once(taker, 'listening')
    const { code, stdout, stderr } = await world.apply(answers, '--output', 'json').ended
    taker.close()
    assert.equal(code, 4, stderr)
    assert.match(stderr, new RegExp(`${world.ports.kms}`))
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    // What the run before has left is taken up first, as a job of its own.
    const last = events.filter(({ job }) => job === events.at(-1).job)
    assert.deepEqual(
      last.map(({ n }) => n),
      last.map((_event, at) => at + 1),
      'an event a line'
    )
    const { type, state, problem } = events.at(-1)
    assert.deepEqual([type, state, problem.type], ['end', 'failed', '/problems/check-failed'])
    assert.deepEqual(world.processes(), [])
  })

  test('of two at once one works; the other ends with 7 and names it', async () => {
    apply = world.apply(answers)
    const result = apply.said(/^\{/)
    await apply.said(/Memcached Configuration/)
    const second = await world.apply(answers).ended
    assert.equal(second.code, 7, second.stderr)
    assert.match(second.stderr, new RegExp(`Another keyscaler \\(pid ${apply.pid}, since 20.*works in `))
    assert.equal(second.stdout, '')
    url = (JSON.parse(await result) as Result).wizard
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('a service that is killed is started again, and ready', async () => {
    await restartedAfterKill(['kms'])
    await restartedAfterKill(serviceNames)
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('killed and run again when all is installed, it adopts what runs and changes nothing', async (t) => {
    const before = await everything()
    await apply.kill()
    const began = performance.now()
    apply = world.apply(answers)
    url = (JSON.parse(await apply.said(/^\{/)) as Result).wizard
    t.diagnostic(`applied again in ${Math.round(performance.now() - began)} ms`)
    assert.deepEqual(await everything(), before)
    await untilReady()
    assert.deepEqual(await everything(), before)
  })

  test('an adopted service that is killed is started again, too', async () => {
    await restartedAfterKill(['dae', 'kms'])
  })

  test('with --exit the services outlive it; a later run stops them', async () => {
    await apply.kill()
    const before = recordedPids(world)
    const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 0, stderr)
    assert.deepEqual(Object.keys(JSON.parse(stdout).services), ['kms', 'dae', 'mqs', 'cp'])
    assert.deepEqual(recordedPids(world), before)
    assert.deepEqual(programsOf(world), wholeInstall.programs)
  })

  test('applied again and again, nothing changes, and each says so', async (t) => {
    const before = await everything()
    const took: number[] = []
    for (let time = 1; time <= repeats; time++) {
      const began = performance.now()
      const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
      took.push(Math.round(performance.now() - began))
      assert.equal(code, 0, stderr)
      assert.equal(JSON.parse(stdout).changed, false)
    }
    t.diagnostic(`median ${took.sort((a, b) => a - b)[repeats >> 1]} ms`)
    assert.deepEqual(await everything(), before)
    apply = world.apply(answers)
    await apply.said(/^\{/)
    assert.equal((await apply.stop()).code, 0)
    assert.deepEqual(world.processes(), [])
  })

  test('with no service running, what is kept sealed is compared once the KMS is there again, and nothing changes', async () => {
    const before = await everything()
    assert.deepEqual(world.processes(), [])
    apply = world.apply(answers)
    assert.equal(JSON.parse(await apply.said(/^\{/)).changed, false)
    const pids = recordedPids(world)
    assert.deepEqual(await everything(), { ...before, pids, logins: before.logins + 1 })
    assert.equal((await apply.stop()).code, 0)
  })

  test('an install whose boot file is gone is not begun anew: it ends with 7', async () => {
    const before = await everything()
    rmSync(join(world.stateDir, 'boot.json'))
    const { code, stderr } = await world.apply(answers).ended
    assert.equal(code, 7, stderr)
    assert.match(stderr, /boot file is missing/)
    assert.match(stderr, /Restore boot\.json from a backup/)
    const served = await world.serve().ended
    assert.equal(served.code, 7, served.stderr)
    assert.deepEqual(await everything(), before)
    assert.deepEqual(world.processes(), [])
  })

  /** As a terminal does: to the program itself, whatever it runs under. */
  function interrupt(): void {
    const [line = ''] = world.processes().filter((known) => /^\d+ \S*node (--\S+ )*\S+cli\.mjs apply /.test(known))
    process.kill(Number.parseInt(line, 10), 'SIGINT')
  }

  async function restartedAfterKill(names: readonly string[]): Promise<void> {
    const before = recordedPids(world)
    for (const name of names) process.kill(before[name] ?? 0, 'SIGKILL')
    while (names.some((name) => recordedPids(world)[name] === before[name])) await pause(20)
    await untilReady()
  }

  async function untilReady(): Promise<void> {
    for (;;) {
      const answer = await fetch(url, { headers: { accept: 'application/json' } })
      const { verdict } = (await answer.json()) as { verdict: { ok: boolean } }
      if (verdict.ok) return
      await pause(20)
    }
  }

  /** What may not change by running it again: rows, keys, who runs, and the services' configurations. */
  async function everything() {
    const { query, stateDir } = world
    const tables = ['installs', 'answers', 'ledger', 'kms_keys', 'data_keys', 'participants', 'certificate_authorities']
    return {
      rows: await Promise.all(tables.map((table) => query(`SELECT * FROM {db}.${table}`))),
      pids: recordedPids(world),
      configurations: serviceNames.map((name) => readFileSync(join(stateDir, 'run', name, 'config.json'), 'utf8')),
      logins: (await readLunaState(world.luna.confPath)).logins
    }
  }
}
