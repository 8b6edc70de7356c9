/** What an install has made and somebody has taken away since: a plan names it, apply makes it again, and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pidsServing } from '../deploy/process/pid-record.ts'
import { isListening, reachOf } from '../deploy/process/service-request.ts'
import { whatStands, wholeInstall } from '../testing/witness.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

describe('what was taken away from an install', { concurrency: 1, timeout: 120_000 }, () => {
  let world: InstallWorld
  let answers: string
  before(async () => {
    world = await openInstallWorld()
    answers = world.answersFile()
    const { code, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 0, stderr)
  })
  after(() => world.close())

  async function planned(): Promise<string[]> {
    const { code, stdout, stderr } = await world.plan(answers, '--output', 'json').ended
    assert.equal(code, 0, stderr)
    const { items } = JSON.parse(stdout) as {
      items: { step: string; kind: string; name: string; action: string; why: string }[]
    }
    return items
      .filter(({ action }) => action !== 'keep')
      .map(({ kind, name, action, why }) => `${action} ${kind} ${name.replace(world.database, 'db')}: ${why}`)
  }
  async function applied(): Promise<boolean> {
    const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout).changed
  }
  async function killed(service: 'dae' | 'mqs'): Promise<void> {
    const config = join(world.stateDir, 'run', service, 'config.json')
    for (const pid of await pidsServing(config)) process.kill(pid, 'SIGKILL')
    const reach = reachOf(JSON.parse(readFileSync(config, 'utf8')))
    assert.ok(reach !== null)
    // Its last threads hold the port for a moment longer than it has a name.
    while (await isListening(reach)) await new Promise(setImmediate)
  }

  test('files of a service that has ended since', async () => {
    await killed('dae')
    for (const file of ['tls/dae.crt', 'credentials/database-dae']) rmSync(join(world.stateDir, file))
    assert.deepEqual(await planned(), [
      'create database-user db_dae: missing',
      'create certificate dae: missing',
      'create service dae: missing'
    ])
    assert.equal(await applied(), true)
    assert.deepEqual([await planned(), await applied()], [[], false])
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('the database account of a service, which does not get ready without', async () => {
    await world.query(`DROP USER '${world.database}_mqs'@'127.0.0.1'`)
    await killed('mqs')
    assert.deepEqual(await planned(), ['create database-user db_mqs: missing', 'create service mqs: missing'])
    assert.equal(await applied(), true)
    assert.deepEqual([await planned(), await applied()], [[], false])
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('nothing to change is no success while a service waits for a person', async () => {
    const latch = join(world.stateDir, 'run', 'mqs', 'latched')
    await killed('mqs')
    writeFileSync(latch, 'by hand', { mode: 0o600 })
    const { code, stdout, stderr } = await world.apply(answers, '--exit').ended
    assert.equal(code, 6, stderr)
    assert.equal(JSON.parse(stdout).changed, false)
    assert.match(stderr, /Message Queue Service is latched: .*\n.*run\/<service>\/service\.log/)
    rmSync(latch)
  })

  test('what cannot be made is no success: the port of a service belongs to somebody else', async (context) => {
    await killed('mqs')
    const other = createServer().listen(world.ports.mqs, '127.0.0.1')
    context.after(() => other.close())
    const { code, stderr } = await world.apply(answers, '--exit').ended
    assert.deepEqual([code, /Port \d+ is used by another program/.test(stderr)], [4, true], stderr)
  })
})
