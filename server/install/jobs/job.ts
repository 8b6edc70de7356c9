/**
 * A job: one piece of work that somebody asked setup for, with what it is doing, can be watched and can be cancelled. What a
 * job is follows from its events alone (job-document.ts), so that what is watched, what is kept and what is read again after
 * a restart are one thing. No secret has a place in any of it.
 */
import type { Problem } from '../../../lib/service/problems.ts'
import type { Finding } from '../../checks/check.ts'
import type { EffectKind } from '../../steps/apply-context.ts'
import type { StepId } from '../../steps/step.ts'
import type { SkipRequest } from '../skips.ts'

/** `resume`: what a kill or a cancel left to finish. All but `check` are working jobs: one at a time in an install. */
export type JobKind = 'submit' | 'check' | 'change-password' | 'apply' | 'resume'

/** `interrupted`: its process ended before it did. */
export type JobState = 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled' | 'interrupted'

/** First line of a journal. */
export interface JobBegun {
  readonly id: string
  readonly kind: JobKind
  readonly step: StepId | null
  /** "Next of KMS Deployment": what it is, for people. */
  readonly title: string
  /** "browser", "script", "answers file" or "keyscaler". */
  readonly actor: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Of an apply: the steps that it will submit. */
  readonly steps: readonly StepId[]
  /** The job that this one goes on with. */
  readonly resumes: string | null
}

export type JobHappening =
  | { readonly type: 'step'; readonly step: StepId; readonly state: 'begun' | 'done' }
  | { readonly type: 'phase'; readonly step: StepId | null; readonly title: string }
  /** A line of what the phase is waiting for. */
  | { readonly type: 'log'; readonly line: string }
  | { readonly type: 'finding'; readonly finding: Finding }
  /** `what` null: it is not waited for any more. */
  | { readonly type: 'waiting'; readonly id: string; readonly what: string | null; readonly since: string }
  /** A row of the ledger. */
  | { readonly type: 'effect'; readonly kind: EffectKind; readonly name: string; readonly state: EffectState }
  | { readonly type: 'cancelling' }
  | ({ readonly type: 'end' } & JobEnd)

export type EffectState = 'begun' | 'done'

/** Numbered from 1 in its job. */
export type JobEvent = JobHappening & { readonly n: number; readonly at: string }

export interface JobEnd {
  readonly state: 'done' | 'failed' | 'cancelled'
  readonly problem: Problem | null
  /** Where setup goes on after it has ended well. */
  readonly next: StepId | null
  /** Setup is finished, and locked. */
  readonly finished: boolean
  /** Answers are kept and not applied to the end: it can go on from there. */
  readonly resumable: boolean
  /** Of an apply that stopped: what Retry does; absent in journals of earlier versions. */
  readonly rest?: ApplyRest
}

/** Steps whose answers are kept as they were asked for, in order, and how the apply took warnings. */
export interface ApplyRest {
  readonly steps: readonly StepId[]
  readonly continueAnyway: boolean
  readonly skip: readonly SkipRequest[]
}

export interface JobPhase {
  readonly step: StepId | null
  readonly title: string
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  readonly startedAt: string
  readonly ms: number
  /** The last lines. */
  readonly log: readonly string[]
}

export interface JobDocument {
  readonly id: string
  readonly kind: JobKind
  readonly step: StepId | null
  readonly title: string
  readonly actor: string
  readonly state: JobState
  readonly startedAt: string
  readonly endedAt: string | null
  readonly elapsedMs: number
  /** What has been waited for longest at this moment. */
  readonly waiting: { readonly what: string; readonly since: string } | null
  readonly phases: readonly JobPhase[]
  readonly steps: readonly { readonly id: StepId; readonly state: 'waiting' | 'running' | 'done' | 'failed' }[]
  readonly findings: readonly Finding[]
  readonly problem: Problem | null
  /** What of its effects is there, or was begun; of a job that did not end well. */
  readonly stands: readonly { readonly kind: EffectKind; readonly name: string; readonly state: EffectState }[]
  readonly retryable: boolean
  /** What Retry does after an apply that stopped; null: what its step has left. */
  readonly rest: ApplyRest | null
  readonly resumes: string | null
  readonly next: StepId | null
  readonly finished: boolean
}

export const isWorking = ({ kind }: Pick<JobBegun, 'kind'>): boolean => kind !== 'check'

export const hasEnded = ({ state }: Pick<JobDocument, 'state'>): boolean =>
  state !== 'running' && state !== 'cancelling'
