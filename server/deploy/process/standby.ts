/** The process of a service that was started ahead of its time, at most one: taken when the service starts, or let go. */
import { type Program, type Standby, standBy } from './running-process.ts'

/** Long enough for the steps in between; then it was in vain. */
const keptMs = 60_000

export interface StandbyPlace {
  /** One is kept ready; does nothing when it is there already. Only time is lost when it cannot be started. */
  readonly prepare: () => void
  /** Whoever takes it gives it the word or ends it. */
  readonly take: () => Standby | null
  readonly pid: () => number | undefined
  readonly drop: () => void
}

export function standbyOf(program: Program): StandbyPlace {
  let kept: Standby | null = null
  let end: NodeJS.Timeout | undefined

  const take = () => {
    clearTimeout(end)
    const taken = kept
    kept = null
    return taken
  }
  const drop = () => void take()?.child.kill()

  return {
    prepare: () => {
      if (kept !== null) return
      try {
        kept = standBy(program)
      } catch {
        return
      }
      const mine = kept
      void mine.gone.then(() => {
        if (kept === mine) take()
      })
      end = setTimeout(drop, keptMs)
      end.unref()
    },
    take,
    pid: () => kept?.child.pid,
    drop
  }
}
