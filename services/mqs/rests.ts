/** Who has failed and is left alone for a while: a topic, or the database. Twice as long each time, up to two seconds. */
import type { Logger } from 'pino'

export interface Rests {
  readonly begin: (who: string, problem: string) => void
  readonly over: (who: string) => void
  readonly resting: (who: string) => boolean
  readonly leftMs: (who: string) => number
  /** Forgets topics for which nothing waits any more. */
  readonly keepOnly: (topics: readonly string[]) => void
  /** Of all that rest or have just rested without success; null: there is none. */
  readonly problem: () => string | null
}

const firstMs = 100
const mostMs = 2000

export function openRests(log: Logger): Rests {
  const rests = new Map<string, { until: number; ms: number; problem: string }>()
  const leftMs = (who: string) => Math.max(0, (rests.get(who)?.until ?? 0) - performance.now())
  return {
    begin: (who, problem) => {
      const before = rests.get(who)
      const ms = before === undefined ? firstMs : Math.min(before.ms * 2, mostMs)
      rests.set(who, { until: performance.now() + ms, ms, problem })
      if (before?.problem !== problem) log.warn({ who, problem }, 'relaying failed; events wait in the outbox')
    },
    over: (who) => {
      if (rests.delete(who)) log.info({ who }, 'relaying again')
    },
    resting: (who) => leftMs(who) > 0,
    leftMs,
    keepOnly: (topics) => {
      for (const who of rests.keys()) if (!topics.includes(who)) rests.delete(who)
    },
    problem: () => [...rests].map(([who, { problem }]) => `${who}: ${problem}`).join('; ') || null
  }
}
