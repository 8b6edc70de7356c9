import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startTimeOf } from '../../../lib/process/start-time.ts'
import type { ServiceName } from '../../../services/catalog.ts'
import { pidsServing } from '../process/pid-record.ts'
import { processTarget } from './process.ts'
import { type TinyWorld, tinyWorld } from './tiny-service.ts'

const silent = () => {}
const isGone = (pid: number) => startTimeOf(pid) === null
const standbys = (world: TinyWorld, name: ServiceName) => pidsServing(join(world.stateDir, `run/${name}/config.json`))

async function begin(context: TestContext) {
  const world = await tinyWorld()
  const target = processTarget({ ...world, lifelineFd: null })
  context.after(async () => {
    await target.stop()
    await rm(world.root, { recursive: true })
  })
  return { world, target }
}

test('a prepared program has done nothing until its service is deployed, and is that service then', async (context) => {
  const { world, target } = await begin(context)
  target.prepare('kms')
  target.prepare('kms')
  const [standby, ...more] = await standbys(world, 'kms')
  assert.ok(standby !== undefined)
  assert.deepEqual(more, [], 'one is enough')
  assert.deepEqual(await target.status(), [], 'nothing is deployed by it')
  const deployed = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
  assert.deepEqual([deployed.state, deployed.pid], ['ready', standby])
  assert.equal((await world.starts('kms')).length, 1)
})

test('a service that runs already is adopted, and the prepared program is let go', async (context) => {
  const { world, target } = await begin(context)
  const config = await world.configOf('kms')
  const { pid } = await target.deploy({ name: 'kms', config }, silent)
  target.prepare('kms')
  const standby = (await standbys(world, 'kms')).find((one) => one !== pid) ?? 0
  assert.equal((await target.deploy({ name: 'kms', config }, silent)).pid, pid)
  while (!isGone(standby)) await delay(5)
})

test('a prepared program that is gone is no loss: another one is started', async (context) => {
  const { world, target } = await begin(context)
  target.prepare('kms')
  const [standby = 0] = await standbys(world, 'kms')
  process.kill(standby, 'SIGKILL')
  while (!isGone(standby)) await delay(5)
  const { state, pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
  assert.equal(state, 'ready')
  assert.notEqual(pid, standby)
})

test('a restart is by the program that was prepared, and the one before is gone first', async (context) => {
  const { world, target } = await begin(context)
  const config = await world.configOf('kms')
  const first = await target.deploy({ name: 'kms', config }, silent)
  target.prepare('kms')
  const standby = (await standbys(world, 'kms')).find((pid) => pid !== first.pid)
  const second = await target.restart('kms')
  assert.deepEqual([second.state, second.pid], ['ready', standby])
  assert.ok(isGone(first.pid ?? 0))
})

test('a prepared program goes with the target that is stopped', async (context) => {
  const { world, target } = await begin(context)
  target.prepare('dae')
  const [standby = 0] = await standbys(world, 'dae')
  await target.stop()
  while (!isGone(standby)) await delay(5)
  target.prepare('dae')
  assert.deepEqual(await standbys(world, 'dae'), [])
})

test('a prepared program goes with the wizard that is killed', async (context) => {
  const { world } = await begin(context)
  const source = `
    import { processTarget } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))}
    const target = processTarget({ ...JSON.parse(process.argv[1]), lifelineFd: null })
    target.prepare('kms')
    console.log('prepared')
    setInterval(() => {}, 1000)`
  const { stateDir, root, entries } = world
  const args = ['--input-type=module', '--eval', source, JSON.stringify({ stateDir, root, entries })]
  const wizard = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(wizard.stdout, 'data')
  const [standby = 0] = await standbys(world, 'kms')
  assert.ok(!isGone(standby))
  wizard.kill('SIGKILL')
  await once(wizard, 'exit')
  while (!isGone(standby)) await delay(5)
})
