/** What the work of a job tells, as events: the same thing said again is no event, and nothing is said after the end. */
import type { CheckWatcher } from '../../checks/check.ts'
import type { EffectKind } from '../../steps/apply-context.ts'
import type { StepId } from '../../steps/step.ts'
import type { EffectState, JobHappening } from './job.ts'

/** Given to the work of a job. */
export interface JobWatch extends CheckWatcher {
  readonly finding: NonNullable<CheckWatcher['finding']>
  readonly waiting: NonNullable<CheckWatcher['waiting']>
  readonly waited: NonNullable<CheckWatcher['waited']>
  /** Another phase begins; the one before has ended. */
  readonly phase: (title: string) => void
  /** A line of what the phase is waiting for, without secrets. */
  readonly log: (line: string) => void
  /** Of an apply: which step it is at. */
  readonly step: (id: StepId, state: 'begun' | 'done') => void
  /** An effect as the ledger has it now. */
  readonly effect: (kind: EffectKind, name: string, state: EffectState) => void
  /** Aborted when somebody has cancelled it: the work throws its reason at the next safe point. */
  readonly signal: AbortSignal
}

const longestLine = 400

export function jobWatch(first: StepId | null, signal: AbortSignal, tell: (happening: JobHappening) => void): JobWatch {
  let step = first
  const waitedFor = new Map<string, { readonly what: string; readonly since: string }>()
  return {
    signal,
    finding: (finding) => tell({ type: 'finding', finding }),
    waiting: (id, what, ms) => {
      const before = waitedFor.get(id)
      if (before?.what === what) return
      const since = before?.since ?? new Date(Date.now() - ms).toISOString()
      waitedFor.set(id, { what, since })
      tell({ type: 'waiting', id, what, since })
    },
    waited: (id) => {
      const before = waitedFor.get(id)
      if (waitedFor.delete(id)) tell({ type: 'waiting', id, what: null, since: before?.since ?? '' })
    },
    phase: (title) => {
      waitedFor.clear()
      tell({ type: 'phase', step, title })
    },
    log: (line) => tell({ type: 'log', line: line.slice(0, longestLine) }),
    step: (id, state) => {
      step = id
      tell({ type: 'step', step: id, state })
    },
    effect: (kind, name, state) => tell({ type: 'effect', kind, name, state })
  }
}
