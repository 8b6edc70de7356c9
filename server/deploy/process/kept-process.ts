/**
 * The process of one service, and what is known of it: started, ended, watched, and answered for when it ends by itself: restarted
 * with back-off, or left down when it said that restarting cannot help (bad configuration) or would do harm (a rejected PIN).
 */
import { join } from 'node:path'
import type { AppError } from '../../../lib/errors/app-error.ts'
import { exitCodes } from '../../../lib/service/exit-codes.ts'
import type { ServiceEntry } from '../../../services/catalog.ts'
import type { DeployWatch, SeenService, ServiceState, ServiceStatus } from '../target.ts'
import { openBackOff } from './back-off.ts'
import { sealLatch } from './latch.ts'
import { type PidRecord, readLivingRecord } from './pid-record.ts'
import { askReadiness } from './readiness.ts'
import { configHash, type RunFolder, readDeployedConfig, runFolder } from './run-folder.ts'
import { adopt, type Exit, end, endStrays, launch, type RunningProcess } from './running-process.ts'
import { notReady, sealed, whyNotReady } from './service-failure.ts'
import { logTail, rotateLog, sizeOf } from './service-log.ts'
import { reachOf } from './service-request.ts'
import { move } from './service-states.ts'
import { type Settled, untilReady } from './settling.ts'
import { type StandbyPlace, standbyOf } from './standby.ts'

export interface Surroundings {
  readonly stateDir: string
  /** Root of the checkout, where the catalogue's programs are. */
  readonly root: string
  readonly lifelineFd: number | null
}

export interface KeptProcess {
  readonly run: RunFolder
  /** The program that loads its code ahead. */
  readonly standby: StandbyPlace
  readonly current: () => RunningProcess | null
  readonly isOver: () => boolean
  /** What is done to it never overlaps. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly become: (next: ServiceState, why: string) => void
  /** Ends what runs and starts it again, with the configuration that is there. */
  readonly start: (hash: string) => Promise<RunningProcess>
  /** Takes up a process that runs already. */
  readonly take: (record: PidRecord) => RunningProcess
  readonly settle: (running: RunningProcess, config: unknown, watch?: DeployWatch) => Promise<Settled>
  readonly settled: (running: RunningProcess, outcome: Settled) => void
  /** From now on its end is answered: latch, give up, or restart after a while. */
  readonly watch: (running: RunningProcess) => void
  /** Its crashes so far do not make the next start wait. */
  readonly forgetCrashes: () => void
  readonly seal: (record: PidRecord) => Promise<void>
  readonly halt: (why: string) => Promise<void>
  /** What a start that did not end well is told as; it is down then. */
  readonly failed: (running: RunningProcess, outcome: Exit | string) => Promise<AppError>
  /** The same, of one that is left to its supervision. */
  readonly notReadyYet: (outcome: Exit | string) => Promise<AppError>
  readonly statusNow: (config: unknown) => ServiceStatus
  /** null: never deployed. */
  readonly status: () => Promise<ServiceStatus | null>
  /** As it stands without asking it; null: nobody has looked at it yet. */
  readonly lastSeen: () => SeenService | null
  /** Stopped for good: whatever still waits for its turn starts nothing. */
  readonly stop: () => Promise<void>
  readonly tend: () => Promise<void>
}

export function keepProcess(entry: ServiceEntry, { stateDir, root, lifelineFd }: Surroundings): KeptProcess {
  const run = runFolder(stateDir, entry.name)
  let state: ServiceState = 'stopped'
  let detail = 'not looked at yet'
  let looked = false
  let since = new Date().toISOString()
  let current: RunningProcess | null = null
  let restarts = 0
  let logFrom = 0
  const program = { program: join(root, entry.program), run, lifelineFd }
  const standby = standbyOf(program)
  const backOff = openBackOff()
  let nextStart: NodeJS.Timeout | undefined
  let over = false
  let queue: Promise<unknown> = Promise.resolve()

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work, work)
    queue = turn.catch(() => {})
    return turn
  }

  const become = (next: ServiceState, why: string) => {
    if (next !== state) since = new Date().toISOString()
    state = move(entry.title, state, next)
    looked = true
    detail = why
  }

  /** Ends what runs, on record or not. */
  const clear = async () => {
    clearTimeout(nextStart)
    const running = current?.record ?? (await readLivingRecord(run.pid))
    // From here on its exit is no surprise.
    current = null
    if (running !== null) await end(running)
    await endStrays(run.config, standby.pid())
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
    current = await launch(program, hash, standby.take())
    if (over) void end(current.record)
    return current
  }

  const take = (record: RunningProcess['record']) => {
    if (state === 'stopped' || state === 'latched' || state === 'backing-off') become('starting', 'adopted')
    current = adopt(record, run)
    return current
  }

  const settle: KeptProcess['settle'] = async (running, config, watch = {}) => {
    const reach = reachOf(config)
    if (reach === null) return 'its configuration does not say where it listens'
    return untilReady(running, reach, entry, { file: run.log, from: logFrom }, watch)
  }

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

  const notReadyYet = async (outcome: Exit | string) =>
    notReady(entry, whyNotReady(entry, outcome), await logTail(run.log, logFrom), run.log)

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
    standby.drop()
    // A start that is being waited for is cut short: it may have minutes left.
    if (state === 'starting' && current !== null) void end(current.record)
    return inTurn(() => halt('stopped'))
  }

  return {
    run,
    standby,
    current: () => current,
    isOver: () => over,
    ...{
      inTurn,
      become,
      start,
      take,
      settle,
      settled,
      watch,
      seal,
      halt,
      failed,
      notReadyYet,
      statusNow,
      status,
      lastSeen: () => (looked ? { name: entry.name, title: entry.title, state, detail } : null),
      stop
    },
    forgetCrashes: () => backOff.forget(),
    tend: () => rotateLog(run.log)
  }
}
