/** What is done to one service: deployed, restarted, taken up again, stopped, removed. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { AppError } from '../../../lib/errors/app-error.ts'
import { exitCodes } from '../../../lib/service/exit-codes.ts'
import type { ServiceEntry } from '../../../services/catalog.ts'
import type { DeployWatch, SeenService, ServiceStatus } from '../target.ts'
import { findService } from './found-service.ts'
import { keepProcess, type Surroundings } from './kept-process.ts'
import { readLivingRecord } from './pid-record.ts'
import { configHash, hasFlag, readDeployedConfig, setFlag, validConfig, writeConfig } from './run-folder.ts'
import { endStrays, type RunningProcess } from './running-process.ts'

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
  /** As it stands without asking it; null: nobody has looked at it yet. */
  readonly lastSeen: () => SeenService | null
  /** Caps the log; called now and then by the target. */
  readonly tend: () => Promise<void>
}

export function superviseService(entry: ServiceEntry, surroundings: Surroundings): Supervisor {
  const { stateDir } = surroundings
  const kept = keepProcess(entry, surroundings)
  const { run, standby } = kept

  const deploy = async (
    raw: unknown,
    report: (phase: string) => void,
    watching: DeployWatch
  ): Promise<ServiceStatus> => {
    if (kept.isOver()) throw new AppError('conflict', `${entry.title} is not started: keyscaler is being stopped.`)
    const config = await validConfig(entry, raw)
    const hash = await configHash(config, stateDir)
    const living = await readLivingRecord(run.pid)
    const same = living !== null && living.configHash === hash
    if (same) standby.drop()
    report(same ? `${entry.title}: already running, adopted` : `${entry.title}: starting`)
    // Until it has been ready it is not wanted: a wizard killed now must not keep restarting half a deployment.
    await setFlag(run.wanted, same && (await hasFlag(run.wanted)))
    await setFlag(run.latched, false)
    await writeConfig(run, config)
    const current = kept.current()
    const known = current !== null && current.record.pid === living?.pid ? current : null
    const running = same ? (known ?? kept.take(living)) : await kept.start(hash)
    report(`${entry.title}: waiting until it is ready`)
    const outcome = await kept.settle(running, config, watching)
    if (outcome === null) {
      // It is not half a deployment that is left: who goes on starts it again.
      if (!same) await kept.halt('cancelled while starting')
      else {
        if (known === null) kept.watch(running)
        void kept.settle(running, config).then((late) => kept.settled(running, late))
      }
      throw watching.signal?.reason
    }
    if (outcome !== true) throw await kept.failed(running, outcome)
    kept.become('ready', 'ready')
    await setFlag(run.wanted, true)
    if (known === null) kept.watch(running)
    return kept.statusNow(config)
  }

  /** Supervised from its start on: one that does not come up is started again like any other, or latches. */
  const restart = async (report: (phase: string) => void, watching: DeployWatch): Promise<ServiceStatus> => {
    if (kept.isOver()) throw new AppError('conflict', `${entry.title} is not started: keyscaler is being stopped.`)
    const config = await readDeployedConfig(run)
    if (config === null) throw new AppError('out-of-order', `${entry.title} is not deployed yet.`)
    report(`${entry.title}: restarting`)
    await setFlag(run.latched, false)
    // Loads its code while the other one ends.
    standby.prepare()
    await kept.halt('restarting')
    kept.forgetCrashes()
    const running = await kept.start(await configHash(config, stateDir))
    kept.watch(running)
    report(`${entry.title}: waiting until it is ready`)
    const outcome = await kept.settle(running, config, watching)
    if (outcome === null) {
      void kept.settle(running, config).then((late) => kept.settled(running, late))
      throw watching.signal?.reason
    }
    if (outcome === true) await setFlag(run.wanted, true)
    else if (typeof outcome !== 'string' && outcome.code === exitCodes.pinRejected)
      throw await kept.failed(running, outcome)
    kept.settled(running, outcome)
    if (outcome === true) return kept.statusNow(config)
    throw await kept.notReadyYet(outcome)
  }

  /** Adopts what runs. @returns what is to be started; null: nothing */
  const lookAround = async (): Promise<(() => Promise<void>) | null> => {
    if (kept.isOver() || kept.current() !== null) return null
    const found = await findService(run, stateDir)
    const supervise = async (running: RunningProcess, config: unknown) => {
      kept.watch(running)
      kept.settled(running, await kept.settle(running, config))
    }
    if (found.is === 'latched') {
      kept.become('starting', '')
      kept.become('latched', found.detail)
    } else if (found.is === 'unwanted') await endStrays(run.config)
    else if (found.is === 'rejected') await kept.seal(found.record)
    else if (found.is === 'running') await supervise(kept.take(found.record), found.config)
    if (found.is !== 'wanted') return null
    standby.prepare()
    return async () => {
      if (!kept.isOver() && kept.current() === null) await supervise(await kept.start(found.hash), found.config)
      else standby.drop()
    }
  }

  const resume = async (needed: Promise<unknown>) => {
    const begin = await kept.inTurn(lookAround)
    if (begin === null) return
    await needed
    await kept.inTurn(begin)
  }

  return {
    deploy: (config, report, watching) => kept.inTurn(() => deploy(config, report, watching)),
    restart: (report, watching) => kept.inTurn(() => restart(report, watching)),
    prepare: () => {
      if (!kept.isOver()) standby.prepare()
    },
    resume,
    stop: kept.stop,
    remove: async () => {
      await kept.stop()
      const known = existsSync(run.folder)
      await rm(run.folder, { recursive: true, force: true })
      return known
    },
    status: kept.status,
    lastSeen: kept.lastSeen,
    tend: kept.tend
  }
}
