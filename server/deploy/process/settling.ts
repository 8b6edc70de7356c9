/** Waiting for a service that was started: ready, ended, out of time, or not waited for any more. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceEntry } from '../../../services/catalog.ts'
import type { DeployWatch } from '../target.ts'
import { askReadiness } from './readiness.ts'
import type { Exit, RunningProcess } from './running-process.ts'
import { followLog } from './service-log.ts'
import { isListening, type Reach } from './service-request.ts'

/** true: ready; an exit: it ended; words: what was missing when its time was up; null: the signal came first. */
export type Settled = true | Exit | string | null

const askEveryMs = 100
/** A service listens when it is ready or nearly so; until then a look costs next to nothing. */
const lookEveryMs = 15
const askDeadlineMs = 5000
const notYet = { ready: false, detail: 'it does not listen yet' } as const

/** A log file, and where in it this start begins. */
export interface LogPlace {
  readonly file: string
  readonly from: number
}

/** Answers at once when the process ends, and when it is not waited for any more. */
export async function untilReady(
  running: RunningProcess,
  reach: Reach,
  { name, title, health }: Pick<ServiceEntry, 'name' | 'title' | 'health'>,
  log: LogPlace,
  watch: DeployWatch = {}
): Promise<Settled> {
  const over = new AbortController()
  const began = performance.now()
  const missing = (detail: string) =>
    watch.waiting?.(name, `${title} to get ready (${detail})`, performance.now() - began)
  const asking = askUntilReady(reach, health.path, began + health.withinMs, over.signal, missing)
  const following = watch.log === undefined ? null : followLog(log.file, log.from, watch.log, over.signal)
  try {
    return await Promise.race([running.exited, asking, aborted(watch.signal, over.signal)])
  } finally {
    over.abort()
    await following
    watch.waited?.(name)
  }
}

async function askUntilReady(
  reach: Reach,
  path: string,
  until: number,
  over: AbortSignal,
  missing: (detail: string) => void
): Promise<true | string> {
  let told = 0
  for (;;) {
    const listens = await isListening(reach)
    const { ready, detail } = listens ? await askReadiness(reach, path, askDeadlineMs) : notYet
    if (ready) return true
    const now = performance.now()
    if (over.aborted || now > until) return detail
    if (now - told >= askEveryMs) {
      missing(detail)
      told = now
    }
    await delay(listens ? askEveryMs : lookEveryMs)
  }
}

function aborted(signal: AbortSignal | undefined, over: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve(null)
    signal?.addEventListener('abort', () => resolve(null), { signal: over })
  })
}
