/** The default target: services are processes on this machine, supervised by the wizard, adopted when it restarts. */
import { join } from 'node:path'
import { catalog, type ServiceEntry, type ServiceName, serviceNames } from '../../../services/catalog.ts'
import { superviseService } from '../process/supervisor.ts'
import type { DeployTarget } from '../target.ts'

export interface ProcessTargetOptions {
  /** Absolute; run files go to `run/<service>/` in it. One wizard at a time (its state lock sees to that). */
  readonly stateDir: string
  /** Root of the checkout; absent: this one. */
  readonly root?: string
  /** Absent: services/catalog.ts. */
  readonly entries?: Readonly<Record<ServiceName, ServiceEntry>>
  /** Absent: KEYSCALER_LIFELINE_FD of this process; null: services outlive it. */
  readonly lifelineFd?: number | null
}

const tendEveryMs = 10_000

export function processTarget(options: ProcessTargetOptions): DeployTarget {
  const { stateDir, root = join(import.meta.dirname, '../../..'), entries = catalog } = options
  const lifelineFd =
    options.lifelineFd === undefined ? lifelineOf(process.env.KEYSCALER_LIFELINE_FD) : options.lifelineFd
  const supervise = (name: ServiceName) => superviseService(entries[name], { stateDir, root, lifelineFd })
  const supervisors = {
    kms: supervise('kms'),
    dae: supervise('dae'),
    mqs: supervise('mqs'),
    cp: supervise('cp')
  }
  const inOrder = startOrder(entries)
  const tending = setInterval(() => {
    for (const name of serviceNames) void supervisors[name].tend()
  }, tendEveryMs)
  tending.unref()

  return {
    deploy: (plan, report, watch = {}) => supervisors[plan.name].deploy(plan.config, report, watch),
    status: async () => {
      const all = await Promise.all(inOrder.map((name) => supervisors[name].status()))
      return all.filter((status) => status !== null)
    },
    lastSeen: () => inOrder.map((name) => supervisors[name].lastSeen()).filter((seen) => seen !== null),
    prepare: (name) => supervisors[name].prepare(),
    // What runs already is only looked at, all at once; what does not is started after those that it needs.
    resume: async (after) => {
      const resumed = new Map<ServiceName, Promise<unknown>>()
      for (const name of inOrder) {
        const needed = Promise.all([after, ...entries[name].needs.map((other) => resumed.get(other))])
        resumed.set(name, supervisors[name].resume(needed))
      }
      await Promise.all(resumed.values())
    },
    restart: (name, report = () => {}, watch = {}) => supervisors[name].restart(report, watch),
    remove: (name) => supervisors[name].remove(),
    stop: async () => {
      clearInterval(tending)
      for (const name of inOrder.toReversed()) await supervisors[name].stop()
    }
  }
}

/** Those that are needed first; the catalogue has no circles. */
function startOrder(entries: Readonly<Record<ServiceName, ServiceEntry>>): readonly ServiceName[] {
  const order: ServiceName[] = []
  const add = (name: ServiceName) => {
    if (order.includes(name)) return
    entries[name].needs.forEach(add)
    order.push(name)
  }
  serviceNames.forEach(add)
  return order
}

function lifelineOf(value: string | undefined): number | null {
  const fd = Number(value ?? '')
  return Number.isInteger(fd) && fd >= 3 ? fd : null
}
