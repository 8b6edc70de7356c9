import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../../../lib/errors/app-error.ts'
import { startTimeOf } from '../../../lib/process/start-time.ts'
import type { ServiceName } from '../../../services/catalog.ts'
import { pidsServing } from '../process/pid-record.ts'
import { askReadiness } from '../process/readiness.ts'
import { reachOf } from '../process/service-request.ts'
import type { DeployTarget, ServiceStatus } from '../target.ts'
import { processTarget } from './process.ts'
import { type TinyWorld, tinyWorld } from './tiny-service.ts'

const silent = () => {}

async function begin(context: TestContext, withinMs?: number): Promise<{ world: TinyWorld; target: DeployTarget }> {
  const world = await tinyWorld(withinMs)
  const target = open(world)
  context.after(async () => {
    // Whoever supervises last, nothing may be left.
    await open(world).stop()
    await target.stop()
    await rm(world.root, { recursive: true })
  })
  return { world, target }
}

const open = (world: TinyWorld) => processTarget({ ...world, lifelineFd: null })

async function statusOf(target: DeployTarget, name: ServiceName): Promise<ServiceStatus> {
  const found = (await target.status()).find((status) => status.name === name)
  assert.ok(found, `${name} has a status`)
  return found
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>, withinMs = 8000): Promise<T> {
  const end = Date.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (Date.now() > end) throw new Error(`not seen in time: ${what}`)
    await delay(25)
  }
}

const isGone = (pid: number) => startTimeOf(pid) === null
const failureOf = (work: Promise<unknown>): Promise<AppError> =>
  work.then(
    () => assert.fail('it should have failed'),
    (thrown: unknown) => (thrown instanceof AppError ? thrown : assert.fail(String(thrown)))
  )

describe('services as processes', { concurrency: true }, () => {
  describe('one after the other', { concurrency: 1 }, () => {
    test('a service is deployed once: the same configuration is adopted, another one restarts it', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      const first = await target.deploy({ name: 'kms', config }, silent)
      assert.equal(first.state, 'ready')
      assert.equal(first.address, config.address)
      const again = await target.deploy({ name: 'kms', config }, silent)
      assert.equal(again.pid, first.pid)
      const other = await target.deploy({ name: 'kms', config: { ...config, colour: 'blue' } }, silent)
      assert.notEqual(other.pid, first.pid)
      assert.ok(isGone(first.pid ?? 0))
      assert.equal((await world.starts('kms')).length, 2)
      assert.equal((await stat(join(world.stateDir, 'run/kms/config.json'))).mode & 0o777, 0o600)
      assert.equal((await stat(join(world.stateDir, 'run/kms/pid.json'))).mode & 0o777, 0o600)
    })

    test('another credential under the same path restarts the service', async (context) => {
      const { world, target } = await begin(context)
      const pinFile = join(world.stateDir, 'pin')
      const config = { ...(await world.configOf('kms')), pinFile }
      const first = await target.deploy({ name: 'kms', config }, silent)
      await writeFile(pinFile, 'another')
      const second = await target.deploy({ name: 'kms', config }, silent)
      assert.notEqual(second.pid, first.pid)
    })

    test('nothing of the wizard is in the environment of a service', async (context) => {
      process.env.KEYSCALER_CANARY = 'secret'
      context.after(() => {
        delete process.env.KEYSCALER_CANARY
      })
      const { world, target } = await begin(context)
      await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      assert.equal((await world.starts('kms'))[0]?.environment, 'HOME,LANG,NODE_COMPILE_CACHE,PATH')
    })

    test('a service that ends while starting fails the deployment at once, with its last log lines', async (context) => {
      const { world, target } = await begin(context, 60_000)
      const config = await world.configOf('kms')
      await world.setMood('kms', 'exit 2')
      const failure = await failureOf(target.deploy({ name: 'kms', config }, silent))
      assert.equal(failure.code, 'deploy-failed')
      assert.match(failure.message, /exit code 2/)
      assert.match(failure.message, /fatal: leaving as told/)
      assert.equal((await statusOf(target, 'kms')).state, 'stopped')
    })

    test('a service that does not become ready in time is named with what is missing, and stopped', async (context) => {
      const { world, target } = await begin(context, 600)
      const config = await world.configOf('kms')
      await world.setMood('kms', 'unready')
      const failure = await failureOf(target.deploy({ name: 'kms', config }, silent))
      assert.match(failure.message, /not ready within 0.6 s \(thing: the thing is missing\)/)
      assert.deepEqual(await pidsServing(join(world.stateDir, 'run/kms/config.json')), [])
    })

    test('a rejected PIN latches: not restarted by the supervisor, nor by the next wizard, until it is deployed again', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      await world.setMood('kms', 'exit 78')
      const failure = await failureOf(target.deploy({ name: 'kms', config }, silent))
      assert.equal(failure.code, 'pin-rejected')
      const latched = await statusOf(target, 'kms')
      assert.deepEqual([latched.state, latched.detail], ['latched', 'sealed: PIN rejected'])

      const next = open(world)
      await next.resume()
      assert.equal((await statusOf(next, 'kms')).state, 'latched')
      assert.equal((await world.starts('kms')).length, 1)

      await world.setMood('kms', 'ok')
      assert.equal((await next.deploy({ name: 'kms', config }, silent)).state, 'ready')
      await next.stop()
    })

    test('a running service whose PIN is rejected later is latched, not restarted', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'exit 78')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('latched after the restart', async () => (await statusOf(target, 'kms')).state === 'latched')
      assert.equal((await world.starts('kms')).length, 2)
    })

    test('a killed service is back within two seconds, and says how often it was restarted', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      const killedAt = Date.now()
      process.kill(pid ?? 0, 'SIGKILL')
      await until('ready again', async () => {
        const status = await statusOf(target, 'kms')
        return status.state === 'ready' && status.pid !== pid && status.restarts === 1
      })
      assert.ok(Date.now() - killedAt < 2000)
    })

    test('a service that refuses its configuration later on is not restarted', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'exit 2')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('stopped', async () => (await statusOf(target, 'kms')).state === 'stopped')
      assert.match((await statusOf(target, 'kms')).detail, /configuration refused.*leaving as told/)
    })

    test('status says unhealthy while a service is not ready, and ready again after', async (context) => {
      const { world, target } = await begin(context)
      await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'unready')
      const seen = await statusOf(target, 'kms')
      assert.deepEqual([seen.state, seen.detail], ['unhealthy', 'thing: the thing is missing'])
      await world.setMood('kms', 'ok')
      assert.equal((await statusOf(target, 'kms')).state, 'ready')
    })

    test('after SIGKILL of the wizard its services live on, are adopted with their pids, and restarted when they die', async (context) => {
      const { world, target } = await begin(context)
      const configs = { kms: await world.configOf('kms'), dae: await world.configOf('dae') }
      const wizard = await startWizard(world, configs)
      const pids = wizard.pids
      process.kill(wizard.pid, 'SIGKILL')
      await wizard.gone

      await target.resume()
      const statuses = await target.status()
      assert.deepEqual(
        statuses.map(({ name, state, pid }) => [name, state, pid]),
        [
          ['kms', 'ready', pids[0]],
          ['dae', 'ready', pids[1]]
        ]
      )
      assert.equal((await target.deploy({ name: 'dae', config: configs.dae }, silent)).pid, pids[1])
      assert.equal((await world.starts('dae')).length, 1)

      process.kill(pids[1] ?? 0, 'SIGKILL')
      await until('restarted', async () => {
        const dae = await statusOf(target, 'dae')
        return dae.state === 'ready' && dae.pid !== pids[1]
      })
    })

    test('what should run and does not is started by resume; what runs unrecorded is replaced, never doubled', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await target.stop()
      assert.ok(isGone(pid ?? 0))

      // As after a kill between starting a service and writing its record: it runs, and no supervisor knows it.
      const configFile = join(world.stateDir, 'run/kms/config.json')
      const stray = spawn(process.execPath, [join(world.root, 'service.mjs'), '--config', configFile])
      await once(stray.stdout, 'data')
      const next = open(world)
      await next.resume()
      const running = await statusOf(next, 'kms')
      assert.equal(running.state, 'ready')
      assert.ok(isGone(stray.pid ?? 0))
      assert.deepEqual(await pidsServing(configFile), [running.pid])
      await next.stop()
    })

    test('stop cuts a deployment short that is still waiting, and nothing is started after it', async (context) => {
      const { world, target } = await begin(context, 60_000)
      const configs = { kms: await world.configOf('kms'), dae: await world.configOf('dae') }
      await world.setMood('kms', 'unready')
      const waiting = Promise.withResolvers<void>()
      const deploying = failureOf(
        target.deploy({ name: 'kms', config: configs.kms }, (phase) => {
          if (phase.endsWith('waiting until it is ready')) waiting.resolve()
        })
      )
      await waiting.promise
      await target.stop()
      assert.equal((await deploying).code, 'deploy-failed')
      assert.equal((await failureOf(target.deploy({ name: 'dae', config: configs.dae }, silent))).code, 'conflict')
      assert.deepEqual(await pidsServing(join(world.stateDir, 'run/kms/config.json')), [])
      assert.equal((await world.starts('dae')).length, 0)
    })

    test('stop while services are being taken up leaves none behind', async (context) => {
      const { world, target } = await begin(context)
      for (const name of ['kms', 'dae'] as const)
        await target.deploy({ name, config: await world.configOf(name) }, silent)
      await target.stop()
      const next = open(world)
      const resuming = next.resume()
      await until('the KMS is started', async () => (await world.starts('kms')).length === 2)
      await next.stop()
      await resuming
      for (const name of ['kms', 'dae']) {
        assert.deepEqual(await pidsServing(join(world.stateDir, `run/${name}/config.json`)), [], name)
      }
    })

    test('services end when the lifeline closes', async (context) => {
      const { world } = await begin(context)
      const server = createServer()
      context.after(() => server.close())
      await new Promise<void>((resolve) => server.listen(join(world.root, 'lifeline'), resolve))
      const accepted = once(server, 'connection')
      const wizard = await startWizard(world, { kms: await world.configOf('kms') }, join(world.root, 'lifeline'))
      const [sandboxEnd]: Socket[] = await accepted
      assert.equal(
        (await world.starts('kms'))[0]?.environment,
        'HOME,KEYSCALER_LIFELINE_FD,LANG,NODE_COMPILE_CACHE,PATH'
      )
      process.kill(wizard.pid, 'SIGKILL')
      await wizard.gone
      assert.ok(!isGone(wizard.pids[0] ?? 0))
      sandboxEnd?.destroy()
      await until('gone', async () => isGone(wizard.pids[0] ?? 0))
    })

    test('the log tail of a deployment does not show an earlier run', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      await target.deploy({ name: 'kms', config }, silent)
      await world.setMood('kms', 'exit 1')
      const failure = await failureOf(target.deploy({ name: 'kms', config: { ...config, colour: 'red' } }, silent))
      assert.ok(!failure.message.includes('listening'))
      assert.match(await readFile(join(world.stateDir, 'run/kms/service.log'), 'utf8'), /listening/)
    })

    test('restart ends a service and starts it with the same configuration, in the same supervision', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      assert.equal((await failureOf(target.restart('kms'))).code, 'out-of-order')
      const first = await target.deploy({ name: 'kms', config }, silent)
      const phases: string[] = []
      const second = await target.restart('kms', (phase) => phases.push(phase))
      assert.deepEqual([second.state, second.restarts, second.address], ['ready', 0, config.address])
      assert.notEqual(second.pid, first.pid)
      assert.ok(isGone(first.pid ?? 0))
      assert.deepEqual(phases, ['Tiny kms: restarting', 'Tiny kms: waiting until it is ready'])
      assert.equal((await target.deploy({ name: 'kms', config }, silent)).pid, second.pid)

      // It is supervised as before: killed, it comes back.
      process.kill(second.pid ?? 0, 'SIGKILL')
      await until('back', async () => {
        const { state, pid } = await statusOf(target, 'kms')
        return state === 'ready' && pid !== second.pid
      })
    })

    test('restart lifts a latch, and latches again when the PIN is still rejected', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      const { pid } = await target.deploy({ name: 'kms', config }, silent)
      await world.setMood('kms', 'exit 78')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('latched', async () => (await statusOf(target, 'kms')).state === 'latched')
      assert.equal((await failureOf(target.restart('kms'))).code, 'pin-rejected')
      assert.deepEqual((await statusOf(target, 'kms')).detail, 'sealed: PIN rejected')
      await world.setMood('kms', 'ok')
      assert.equal((await target.restart('kms')).state, 'ready')
      const next = open(world)
      await next.resume()
      assert.equal((await statusOf(next, 'kms')).state, 'ready')
      await next.stop()
    })

    test('a restart that fails leaves the service wanted: it is started again when it can be', async (context) => {
      const { world, target } = await begin(context)
      await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'exit 1')
      const failure = await failureOf(target.restart('kms'))
      assert.equal(failure.code, 'deploy-failed')
      assert.match(failure.message, /exit code 1/)
      await world.setMood('kms', 'ok')
      await until('ready again', async () => (await statusOf(target, 'kms')).state === 'ready')
    })

    test('a service that was adopted and ends sealed is latched without being started again', async (context) => {
      const { world, target } = await begin(context)
      const configs = { kms: await world.configOf('kms'), dae: await world.configOf('dae') }
      const wizard = await startWizard(world, configs)
      process.kill(wizard.pid, 'SIGKILL')
      await wizard.gone
      await target.resume()
      await world.setMood('kms', 'then 78')
      await statusOf(target, 'kms')
      await until('latched', async () => (await statusOf(target, 'kms')).state === 'latched')
      assert.equal((await statusOf(target, 'kms')).detail, 'sealed: PIN rejected')
      assert.equal((await world.starts('kms')).length, 1)
    })

    test('a service that ended sealed while nobody supervised it is not started by the next wizard', async (context) => {
      const { world, target } = await begin(context)
      const configs = { kms: await world.configOf('kms'), dae: await world.configOf('dae') }
      const wizard = await startWizard(world, configs)
      process.kill(wizard.pid, 'SIGKILL')
      await wizard.gone
      await world.setMood('kms', 'then 78')
      const kms = wizard.pids[0] ?? 0
      const reach = reachOf(configs.kms)
      assert.ok(reach)
      assert.equal((await askReadiness(reach, '/readyz', 2000)).ready, false)
      await until('gone', async () => isGone(kms))
      await target.resume()
      assert.deepEqual((await statusOf(target, 'kms')).detail, 'sealed: PIN rejected')
      assert.equal((await world.starts('kms')).length, 1)
    })

    test('a latch holds for the password that was rejected: another one in its place is tried by the next wizard', async (context) => {
      const { world, target } = await begin(context)
      const pinFile = join(world.stateDir, 'pin')
      const config = { ...(await world.configOf('kms')), pinFile }
      const { pid } = await target.deploy({ name: 'kms', config }, silent)
      await world.setMood('kms', 'exit 78')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('latched', async () => (await statusOf(target, 'kms')).state === 'latched')
      const [second, third] = [open(world), open(world)]
      await second.resume()
      assert.equal((await statusOf(second, 'kms')).state, 'latched')
      await world.setMood('kms', 'ok')
      await writeFile(pinFile, 'another')
      await third.resume()
      assert.equal((await statusOf(third, 'kms')).state, 'ready')
      await third.stop()
    })

    test('the latch says what it was: logins that were never answered are not called rejected', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'exit 78 interrupted-before')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('latched', async () => (await statusOf(target, 'kms')).state === 'latched')
      assert.equal((await statusOf(target, 'kms')).detail, 'sealed: earlier logins were never answered')
      const failure = await failureOf(target.restart('kms'))
      assert.deepEqual([failure.code, /rejected/.test(failure.message)], ['pin-rejected', false])
    })

    test('while it is waited for, its log is told line by line, and what it still misses', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      await world.setMood('kms', 'unready')
      const lines: string[] = []
      const missed = Promise.withResolvers<string>()
      const over: string[] = []
      const deploying = target.deploy({ name: 'kms', config }, silent, {
        log: (line) => void lines.push(line),
        waiting: (_id, what) => what.includes('thing') && missed.resolve(what),
        waited: (id) => void over.push(id)
      })
      assert.equal(await missed.promise, 'Tiny kms to get ready (thing: the thing is missing)')
      await world.setMood('kms', 'ok')
      await deploying
      assert.deepEqual(lines, ['info: listening'])
      assert.deepEqual(over, ['kms'])
    })

    test('cancelled while it is waited for, nothing half-deployed is left, and it can be deployed again', async (context) => {
      const { world, target } = await begin(context)
      const config = await world.configOf('kms')
      await world.setMood('kms', 'unready')
      const stop = new AbortController()
      const reason = new AppError('conflict', 'It was cancelled.')
      const started = Promise.withResolvers<void>()
      const deploying = target.deploy({ name: 'kms', config }, silent, {
        log: () => started.resolve(),
        signal: stop.signal
      })
      await started.promise
      const { pid } = await statusOf(target, 'kms')
      stop.abort(reason)
      assert.equal(await failureOf(deploying), reason)
      const { state, detail } = await statusOf(target, 'kms')
      assert.deepEqual([state, detail, isGone(pid ?? 0)], ['stopped', 'cancelled while starting', true])
      await target.resume()
      assert.equal((await statusOf(target, 'kms')).state, 'stopped', 'it was never wanted')
      await world.setMood('kms', 'ok')
      assert.equal((await target.deploy({ name: 'kms', config }, silent)).state, 'ready')
    })

    test('a restart that is not waited for any more goes on by itself', async (context) => {
      const { world, target } = await begin(context)
      await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'unready')
      const stop = new AbortController()
      const restarting = target.restart('kms', silent, {
        log: () => stop.abort(new Error('enough')),
        signal: stop.signal
      })
      await assert.rejects(restarting, /enough/)
      await world.setMood('kms', 'ok')
      await until('it is ready', async () => (await statusOf(target, 'kms')).state === 'ready')
    })
  })

  // Nothing but waiting for the product's own pauses: beside the others.
  describe('what takes its time', { concurrency: 1 }, () => {
    test('stop ends services in reverse order, the deaf one by SIGKILL', async (context) => {
      const { world, target } = await begin(context)
      const kms = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      const config = await world.configOf('dae')
      await world.setMood('dae', 'deaf')
      const dae = await target.deploy({ name: 'dae', config }, silent)
      const stopped = target.stop()
      await until(
        'SIGKILL after ten seconds',
        async () => {
          const daeGone = isGone(dae.pid ?? 0)
          assert.ok(daeGone || !isGone(kms.pid ?? 0), 'the KMS goes last')
          return daeGone
        },
        12_000
      )
      await stopped
      assert.ok(isGone(kms.pid ?? 0))
    })

    test('a crash loop is slowed down, each pause longer than the one before, and reported honestly', async (context) => {
      const { world, target } = await begin(context)
      const { pid } = await target.deploy({ name: 'kms', config: await world.configOf('kms') }, silent)
      await world.setMood('kms', 'exit 1')
      process.kill(pid ?? 0, 'SIGKILL')
      await until('four crashes', async () => (await world.starts('kms')).length >= 5)
      const at = (await world.starts('kms')).map((start) => start.at)
      const pauses = at.slice(2).map((time, index) => time - (at[index + 1] ?? 0))
      assert.ok((pauses[0] ?? 0) >= 400 && (pauses[1] ?? 0) >= 800 && (pauses[2] ?? 0) >= 1600, `pauses: ${pauses}`)
      const status = await until('backing off', async () => {
        const seen = await statusOf(target, 'kms')
        return seen.state === 'backing-off' && seen
      })
      assert.match(status.detail, /exit code 1.*next start in .* s.*leaving as told/)
    })
  })
})

/** A wizard in a process of its own, so that it can be killed. */
async function startWizard(world: TinyWorld, configs: object, lifeline?: string) {
  const script = `
    import { connect } from 'node:net'
    import { processTarget } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))}
    import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
    const { root, stateDir, entries, configs, lifeline } = JSON.parse(process.argv[2])
    for (const entry of Object.values(entries)) entry.config = async () => z.looseObject({})
    let lifelineFd = null
    if (lifeline) {
      const socket = connect(lifeline)
      await new Promise((resolve) => socket.once('connect', resolve))
      lifelineFd = socket._handle.fd
    }
    const target = processTarget({ root, stateDir, entries, lifelineFd })
    const pids = []
    for (const [name, config] of Object.entries(configs)) pids.push((await target.deploy({ name, config }, () => {})).pid)
    process.stdout.write(JSON.stringify(pids) + '\\n')
    setInterval(() => {}, 1000)
  `
  const file = join(world.root, 'wizard.mjs')
  await writeFile(file, script)
  const { root, stateDir, entries } = world
  const argument = JSON.stringify({ root, stateDir, entries, configs, lifeline })
  const wizard = spawn(process.execPath, [file, argument], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(wizard.stdout, 'data')
  const pids: unknown = JSON.parse(String(line))
  assert.ok(Array.isArray(pids) && wizard.pid !== undefined)
  return { pid: wizard.pid, pids: pids.map(Number), gone: once(wizard, 'exit') }
}
