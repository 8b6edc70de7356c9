/** Waiting for a service that was started: ready, ended, or out of time. */
import { setTimeout as delay } from 'node:timers/promises'
import { askReadiness } from './readiness.ts'
import type { Exit, RunningProcess } from './running-process.ts'
import type { Reach } from './service-request.ts'

/** true: ready; an exit: it ended; words: what was missing when its time was up. */
export type Settled = true | Exit | string

const askEveryMs = 100
const askDeadlineMs = 5000

/** Answers at once when the process ends. */
export async function untilReady(
  running: RunningProcess,
  reach: Reach,
  { path, withinMs }: { readonly path: string; readonly withinMs: number }
): Promise<Settled> {
  const over = new AbortController()
  const asking = askUntilReady(reach, path, performance.now() + withinMs, over.signal)
  return Promise.race([running.exited, asking]).finally(() => over.abort())
}

async function askUntilReady(reach: Reach, path: string, until: number, over: AbortSignal): Promise<true | string> {
  for (;;) {
    const { ready, detail } = await askReadiness(reach, path, askDeadlineMs)
    if (ready) return true
    if (over.aborted || performance.now() > until) return detail
    await delay(askEveryMs)
  }
}
