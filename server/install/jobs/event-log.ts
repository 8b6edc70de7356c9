/** The events of one job, for who watches it now and for who comes later: numbered, and only so many of them. */
import type { JobEvent, JobHappening } from './job.ts'

const mostEvents = 600
/** What is missed least goes first. */
const dropped: readonly JobEvent['type'][] = ['log', 'waiting', 'effect', 'phase']

export interface EventLog {
  readonly add: (happening: JobHappening) => JobEvent
  /** Those after number n that are still kept. */
  readonly after: (n: number) => readonly JobEvent[]
  /** Told that there is more; what it is, it reads when it has room for it. @returns ends it */
  readonly subscribe: (listener: () => void) => () => void
}

/** @param kept of an earlier process */
export function openEventLog(kept: readonly JobEvent[] = []): EventLog {
  const events = [...kept]
  const listeners = new Set<() => void>()
  let last = events.at(-1)?.n ?? 0
  return {
    add: (happening) => {
      last += 1
      const event: JobEvent = { n: last, at: new Date().toISOString(), ...happening }
      events.push(event)
      if (events.length > mostEvents) makeRoom(events)
      for (const listener of listeners) listener()
      return event
    },
    after: (n) => {
      const from = events.findIndex((event) => event.n > n)
      return from === -1 ? [] : events.slice(from)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}

function makeRoom(events: JobEvent[]): void {
  for (const type of dropped) {
    const oldest = events.findIndex((event) => event.type === type)
    if (oldest !== -1) return void events.splice(oldest, 1)
  }
  events.shift()
}
