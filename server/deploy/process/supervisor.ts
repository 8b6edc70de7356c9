/**
 * One service under supervision: started, waited for, restarted with back-off when it ends by itself, and left down
 * when it said that restarting cannot help (bad configuration) or would do harm (a rejected PIN).
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../../lib/errors/app-error.ts'
import { exitCodes } from '../../../lib/service/exit-codes.ts'
import type { ServiceEntry } from '../../../services/catalog.ts'
import type { DeployWatch, ServiceState, ServiceStatus } from '../target.ts'
import { openBackOff } from './back-off.ts'
import { findService } from './found-service.ts'
import { sealLatch } from './latch.ts'
import { readLivingRecord } from './pid-record.ts'
import { askReadiness } from './readiness.ts'
import { configHash, hasFlag, readDeployedConfig, runFolder, setFlag, validConfig, writeConfig } from './run-folder.ts'
import { adopt, type Exit, end, endStrays, launch, type RunningProcess } from './running-process.ts'
import { notReady, sealed, whyNotReady } from './service-failure.ts'
import { logTail, rotateLog, sizeOf } from './service-log.ts'
import { reachOf } from './service-request.ts'
import { move } from './service-states.ts'
import { type Settled, untilReady } from './settling.ts'
import { standbyOf } from './standby.ts'

export interface Supervisor {
  /** @throws AppError deploy-failed | pin-rejected | invalid-input */
  readonly deploy: (config: unknown, report: (phase: string) => void, watch: DeployWatch) => Promise<ServiceStatus>
  /** Ends it and starts it as it was deployed; lifts a latch. @throws AppError out-of-order | deploy-failed | pin-rejected */
  readonly restart: (report: (phase: string) => void, watch: DeployWatch) => Promise<ServiceStatus>
  /** Has the program load its code, in expectation of deploy or restart; does nothing else, and ends if neither comes. */
  readonly prepare: () => void
  /**
   * Adopts what runs, at once; starts what should, after `needed`. Never throws for a service that does not come up: its status
   * says so.
   */
  readonly resume: (needed: Promise<unknown>) => Promise<void>
  /** For good: a deployment under way is cut short, and nothing is started from then on. */
  readonly stop: () => Promise<void>
  /** Stops it for good and removes its folder. False: there was none. */
  readonly remove: () => Promise<boolean>
  /** null: never deployed. */
  readonly status: () => Promise<ServiceStatus | null>
  /** Caps the log; called now and then by the target. */
  readonly tend: () => Promise<void>
}

export interface Surroundings {
  readonly stateDir: string
  /** Root of the checkout, where the catalogue's programs are. */
  readonly root: string
  readonly lifelineFd: number | null
}

export function superviseService(entry: ServiceEntry, { stateDir, root, lifelineFd }: Surroundings): Supervisor {
  const run = runFolder(stateDir, entry.name)
  let state: ServiceState = 'stopped'
  let detail = 'not looked at yet'
  let since = new Date().toISOString()
  let current: RunningProcess | null = null
  let restarts = 0
  let logFrom = 0
  const program = { program: join(root, entry.program), run, lifelineFd }
  const waiting = standbyOf(program)
  const backOff = openBackOff()
  let nextStart: NodeJS.Timeout | undefined
  /** Stopped for good: whatever still waits for its turn starts nothing. */
  let over = false
  let queue: Promise<unknown> = Promise.resolve()

  /** deploy, resume, restart and stop of one service never overlap. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work, work)
    queue = turn.catch(() => {})
    return turn
  }

  const become = (next: ServiceState, why: string) => {
    if (next !== state) since = new Date().toISOString()
    state = move(entry.title, state, next)
    detail = why
  }

  /** Ends what runs, on record or not. */
  const clear = async () => {
    clearTimeout(nextStart)
    const running = current?.record ?? (await readLivingRecord(run.pid))
    // From here on its exit is no surprise.
    current = null
    if (running !== null) await end(running)
    await endStrays(run.config, waiting.pid())
  }

  const halt = async (why: string) => {
    become('stopped', why)
    await clear()
  }

  const start = async (hash: string) => {
    // A restart after a crash is never "stopped", not even for a moment: that would say that nobody is at it.
    if (state !== 'backing-off') become('stopped', 'restarting')
    await clear()
    await rotateLog(run.log)
    logFrom = await sizeOf(run.log)
    become('starting', 'starting')
    current = await launch(program, hash, waiting.take())
    if (over) void end(current.record)
    return current
  }

  const take = (record: RunningProcess['record']) => {
    if (state === 'stopped' || state === 'latched' || state === 'backing-off') become('starting', 'adopted')
    current = adopt(record, run)
    return current
  }

  const settle = async (running: RunningProcess, config: unknown, watch: DeployWatch = {}): Promise<Settled> => {
    const reach = reachOf(config)
    if (reach === null) return 'its configuration does not say where it listens'
    return untilReady(running, reach, entry, { file: run.log, from: logFrom }, watch)
  }

  /** From now on an exit is answered: latch, give up, or restart after a while. */
  const watch = (running: RunningProcess) => {
    void running.exited.then((exit) =>
      inTurn(async () => {
        if (current !== running) return
        current = null
        if (exit.code === exitCodes.pinRejected) return seal(running.record)
        if (exit.code === exitCodes.badConfig) return become('stopped', `configuration refused: ${await lastWords()}`)
        const wait = backOff.afterCrash(running.record.startedAt)
        become('backing-off', `ended (${exit.why}); next start in ${wait / 1000} s. ${await lastWords()}`.trim())
        nextStart = setTimeout(() => void inTurn(startAgain), wait)
        nextStart.unref()
      })
    )
  }

  const startAgain = async () => {
    if (over || state !== 'backing-off') return
    const config = await readDeployedConfig(run)
    restarts += 1
    const running = await start(await configHash(config, stateDir))
    watch(running)
    void settle(running, config).then((outcome) => settled(running, outcome))
  }

  const settled = (running: RunningProcess, outcome: Settled) => {
    if (current !== running) return
    if (outcome === true) become('ready', 'ready')
    else if (typeof outcome === 'string') become('unhealthy', outcome)
  }

  const seal = async ({ pid, configHash }: RunningProcess['record']) => {
    const latch = await sealLatch(run, pid, configHash)
    if (state === 'stopped') become('starting', '')
    become('latched', latch.detail)
  }

  const lastWords = async () => (await logTail(run.log, logFrom, 3)).join(' | ')

  const failed = async (running: RunningProcess, outcome: Exit | string): Promise<AppError> => {
    const tail = await logTail(run.log, logFrom)
    if (typeof outcome !== 'string' && outcome.code === exitCodes.pinRejected) {
      current = null
      await seal(running.record)
      return sealed(entry, detail, tail)
    }
    const why = whyNotReady(entry, outcome)
    await halt(why)
    return notReady(entry, why, tail, run.log)
  }

  const deploy = async (
    raw: unknown,
    report: (phase: string) => void,
    watching: DeployWatch
  ): Promise<ServiceStatus> => {
    if (over) throw new AppError('conflict', `${entry.title} is not started: keyscaler is being stopped.`)
    const config = await validConfig(entry, raw)
    const hash = await configHash(config, stateDir)
    const living = await readLivingRecord(run.pid)
    const same = living !== null && living.configHash === hash
    if (same) waiting.drop()
    report(same ? `${entry.title}: already running, adopted` : `${entry.title}: starting`)
    // Until it has been ready it is not wanted: a wizard killed now must not keep restarting half a deployment.
    await setFlag(run.wanted, same && (await hasFlag(run.wanted)))
    await setFlag(run.latched, false)
    await writeConfig(run, config)
    const kept = current !== null && current.record.pid === living?.pid ? current : null
    const running = same ? (kept ?? take(living)) : await start(hash)
    report(`${entry.title}: waiting until it is ready`)
    const outcome = await settle(running, config, watching)
    if (outcome === null) {
      // It is not half a deployment that is left: who goes on starts it again.
      if (!same) await halt('cancelled while starting')
      else {
        if (kept === null) watch(running)
        void settle(running, config).then((late) => settled(running, late))
      }
      throw watching.signal?.reason
    }
    if (outcome !== true) throw await failed(running, outcome)
    become('ready', 'ready')
    await setFlag(run.wanted, true)
    if (kept === null) watch(running)
    return statusNow(config)
  }

  /** Supervised from its start on: one that does not come up is started again like any other, or latches. */
  const restart = async (report: (phase: string) => void, watching: DeployWatch): Promise<ServiceStatus> => {
    if (over) throw new AppError('conflict', `${entry.title} is not started: keyscaler is being stopped.`)
    const config = await readDeployedConfig(run)
    if (config === null) throw new AppError('out-of-order', `${entry.title} is not deployed yet.`)
    report(`${entry.title}: restarting`)
    await setFlag(run.latched, false)
    // Loads its code while the other one ends.
    waiting.prepare()
    await halt('restarting')
    backOff.forget()
    const running = await start(await configHash(config, stateDir))
    watch(running)
    report(`${entry.title}: waiting until it is ready`)
    const outcome = await settle(running, config, watching)
    if (outcome === null) {
      void settle(running, config).then((late) => settled(running, late))
      throw watching.signal?.reason
    }
    if (outcome === true) await setFlag(run.wanted, true)
    else if (typeof outcome !== 'string' && outcome.code === exitCodes.pinRejected) throw await failed(running, outcome)
    settled(running, outcome)
    if (outcome === true) return statusNow(config)
    throw notReady(entry, whyNotReady(entry, outcome), await logTail(run.log, logFrom), run.log)
  }

  /** Adopts what runs. @returns what is to be started; null: nothing */
  const lookAround = async (): Promise<(() => Promise<void>) | null> => {
    if (over || current !== null) return null
    const found = await findService(run, stateDir)
    const supervise = async (running: RunningProcess, config: unknown) => {
      watch(running)
      settled(running, await settle(running, config))
    }
    if (found.is === 'latched') {
      become('starting', '')
      become('latched', found.detail)
    } else if (found.is === 'unwanted') await endStrays(run.config)
    else if (found.is === 'rejected') await seal(found.record)
    else if (found.is === 'running') await supervise(take(found.record), found.config)
    if (found.is !== 'wanted') return null
    waiting.prepare()
    return async () => {
      if (!over && current === null) await supervise(await start(found.hash), found.config)
      else waiting.drop()
    }
  }

  const resume = async (needed: Promise<unknown>) => {
    const begin = await inTurn(lookAround)
    if (begin === null) return
    await needed
    await inTurn(begin)
  }

  const statusNow = (config: unknown): ServiceStatus => ({
    name: entry.name,
    state,
    pid: current?.record.pid ?? null,
    address: reachOf(config)?.address ?? '',
    since,
    restarts,
    detail
  })

  const status = async () => {
    const config = await readDeployedConfig(run)
    const reach = reachOf(config)
    if (reach === null) return null
    const asked = current
    if (asked !== null && (state === 'ready' || state === 'unhealthy')) {
      const { ready, detail: why } = await askReadiness(reach, entry.health.path, 2000)
      if (current === asked && (state === 'ready' || state === 'unhealthy')) become(ready ? 'ready' : 'unhealthy', why)
    }
    return statusNow(config)
  }

  const stop = () => {
    over = true
    waiting.drop()
    // A start that is being waited for is cut short: it may have minutes left.
    if (state === 'starting' && current !== null) void end(current.record)
    return inTurn(() => halt('stopped'))
  }

  return {
    deploy: (config, report, watching) => inTurn(() => deploy(config, report, watching)),
    restart: (report, watching) => inTurn(() => restart(report, watching)),
    prepare: () => {
      if (!over) waiting.prepare()
    },
    resume,
    stop,
    remove: async () => {
      await stop()
      const known = existsSync(run.folder)
      await rm(run.folder, { recursive: true, force: true })
      return known
    },
    status,
    tend: () => rotateLog(run.log)
  }
}
