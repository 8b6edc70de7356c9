/**
 * The relay's loop: at least once, in order within a key, with an event id that stays the same when it is sent again. Each
 * topic that fails rests by itself, so that one without rights or replicas does not hold up the others.
 */
import type { Logger } from 'pino'
import { Counter, Gauge, type Registry } from 'prom-client'
import { messageOf } from '../../lib/errors/app-error.ts'
import type { Outbox } from './outbox.ts'
import { type Batch, type BatchParts, prepareLease, relayBatch } from './relay-batch.ts'
import { openRests } from './rests.ts'

export interface Relay {
  /** Looks now instead of at the next turn. */
  readonly nudge: () => void
  readonly state: () => RelayState
  /** Ends after the batch that is on its way. */
  readonly stop: () => Promise<void>
}

export interface RelayState {
  /** Standby: another relay has the lease. */
  readonly role: 'relaying' | 'standby'
  /** Why events wait; null: they do not. */
  readonly problem: string | null
  readonly lastPassAt: string | null
}

export interface RelayParts extends Omit<BatchParts, 'leaseSeconds'> {
  readonly outbox: Outbox
  readonly log: Logger
  readonly metrics: Registry
  readonly leaseSeconds?: number
}

/** Between two looks while nothing comes: most that an event waits, and all that an idle relay costs. */
const idleMs = 100
/** After something came: more is on its way. */
const busyMs = 10

export function startRelay({ outbox, log, metrics, leaseSeconds = 30, ...parts }: RelayParts): Relay {
  const measures = openMeasures(metrics)
  const rests = openRests(log)
  /** The name under which a database that fails rests. */
  const database = 'database'
  let prepared = false
  let stopped = false
  let role: RelayState['role'] = 'relaying'
  let lastPassAt: string | null = null
  let wake = () => {}

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const told = (topic: string, { published, parked, problem }: Batch) => {
    measures.relayed.inc(published.length)
    measures.parked.inc(parked.length)
    for (const { event, because } of parked) log.error({ eventId: event.eventId, topic, because }, 'an event is parked')
    if (problem === null) rests.over(topic)
    else rests.begin(topic, problem)
  }

  /** @returns in how many milliseconds to look again */
  const pass = async (): Promise<number> => {
    if (!prepared) await prepareLease(parts.database)
    prepared = true
    const topics = await outbox.topics()
    rests.over(database)
    rests.keepOnly(topics)
    let wait = idleMs
    for (const topic of topics) {
      if (stopped || rests.resting(topic)) continue
      const batch = await relayBatch({ ...parts, leaseSeconds }, topic)
      role = batch === null ? 'standby' : 'relaying'
      if (batch === null) return idleMs
      told(topic, batch)
      if (batch.published.length > 0) wait = Math.min(wait, batch.full && batch.problem === null ? 0 : busyMs)
    }
    lastPassAt = new Date().toISOString()
    return wait
  }

  const run = async () => {
    while (!stopped) {
      const wait = await pass().catch((thrown: unknown) => {
        rests.begin(database, messageOf(thrown))
        return idleMs
      })
      measures.failing.set(rests.problem() === null ? 0 : 1)
      if (wait > 0 && !stopped) await pause(Math.max(wait, rests.leftMs(database)))
    }
  }
  const running = run()

  return {
    nudge: () => wake(),
    state: () => ({ role, problem: rests.problem(), lastPassAt }),
    stop: async () => {
      stopped = true
      wake()
      await running
    }
  }
}

function openMeasures(metrics: Registry) {
  const registers = [metrics]
  return {
    relayed: new Counter({ name: 'mqs_relayed_total', help: 'Events relayed to Kafka', registers }),
    parked: new Counter({ name: 'mqs_parked_total', help: 'Events that the broker will never take', registers }),
    failing: new Gauge({ name: 'mqs_relay_failing', help: '1 while events wait for broker or database', registers })
  }
}
