/**
 * The check engine. Observing never judges: `observe` gathers facts under a deadline, then the first matching outcome
 * speaks, and every `fail` names its cure. One check failing never stops an independent one (they run side by side).
 * Secrets never reach a finding: outcomes get what was seen, not what was typed.
 */
import { messageOf } from '../../lib/errors/app-error.ts'
import { judgeLadder, leftOut, nothingSkipped, notReached, type Outcome, type Rung, said } from './ladder-judge.ts'

/** `info` is shown and never asks for anything; `warn` needs "continue anyway"; `skip` = not reached. */
export type Verdict = 'pass' | 'info' | 'warn' | 'fail' | 'skip'

export interface Finding {
  /** `kms.slot-present`: step id, then the check. */
  readonly id: string
  readonly title: string
  readonly verdict: Verdict
  /** What was seen, in plain words. */
  readonly say: string
  /** The next thing to do; every fail has one. */
  readonly cure?: string
  /** Where the administrator's guide treats it, e.g. "Guide: DPoD, item 13". */
  readonly guide?: string
  /** The answer that this is about, for the message beside the field. */
  readonly field?: string
  /** One click that puts right answers in: label of the button, and the values by field name. */
  readonly offer?: Offer
  /** Why somebody had it left out; only with `skip`, and kept with the answers. */
  readonly skipped?: string
  /** The return code that this is about, where a PKCS#11 call was refused. */
  readonly ckr?: { readonly code: number; readonly name: string }
  readonly ms: number
}

export interface Offer {
  readonly label: string
  readonly values: Readonly<Record<string, string>>
}

/** Checks that are left out, by id, each with the reason that was given. Which may be is server/install/skips.ts' to say. */
export type Skips = ReadonlyMap<string, string>

export interface CheckWatcher {
  finding?: ((finding: Finding) => void) | undefined
  /** Named within 1 s: "waiting for C_Login since 1.0 s". */
  waiting?: (id: string, what: string, ms: number) => void
  /** What `waiting` named is over. */
  waited?: (id: string) => void
}

/** What a check may ask of its surroundings; secrets kept from an earlier visit are already in the answers. */
export interface CheckSurroundings {
  readonly stateDir: string
  readonly install: string
  /** Answers of the steps before this one, by step id; no secrets. */
  readonly earlier: Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>
  /** Tells what is being waited for right now. */
  readonly progress: (what: string) => void
  /** Capabilities by name that the wizard gives (the database pool after step 2, the KMS client after step 3). */
  readonly services: SurroundingServices
  /** An observation leaves out what only these look at; absent: none. */
  readonly skip?: Skips
}

/** Filled by server/install; a check that needs one that is absent reports `skip`. */
export interface SurroundingServices {
  readonly database?: import('mysql2/promise').Pool
}

export interface Check<Answers> {
  /** Ids of the findings it can give, for the test that matches ids. */
  readonly ids: readonly string[]
  readonly run: (answers: Answers, around: CheckSurroundings, watch: CheckWatcher) => Promise<Finding[]>
}

interface CheckSpec<Answers, Seen> {
  readonly id: string
  readonly title: string
  /** Milliseconds; the verdict comes by then (TCP peers <= 10 s). May depend on the answers (Luna 30 s, DPoD 60 s). */
  readonly deadlineMs: number | ((answers: Answers) => number)
  readonly observe: (answers: Answers, around: CheckSurroundings, signal: AbortSignal) => Promise<Seen>
  /** Says what to do when observing itself throws or times out. */
  readonly fix: string | ((answers: Answers) => string)
  readonly field?: string
  readonly outcomes: readonly Outcome<Seen>[]
}

export function defineCheck<Answers, Seen>(spec: CheckSpec<Answers, Seen>): Check<Answers> {
  return defineLadder({ ...spec, rungs: [{ id: spec.id, title: spec.title, outcomes: spec.outcomes }] })
}

/** One observation, several findings in order. */
export function defineLadder<Answers, Seen>(
  spec: Omit<CheckSpec<Answers, Seen>, 'outcomes'> & { readonly rungs: readonly Rung<Seen>[] }
): Check<Answers> {
  const { rungs, observe } = spec
  return defineDiagnosis<Answers>({
    ...spec,
    ids: rungs.map((rung) => rung.id),
    rungs: () => rungs,
    find: async (answers, around, { signal, watch, elapsed }) => {
      const seen = await observe(answers, around, signal)
      signal.throwIfAborted()
      return judgeLadder(rungs, seen, elapsed(), watch, around.skip)
    }
  })
}

interface DiagnosisSpec<Answers> extends Omit<CheckSpec<Answers, unknown>, 'outcomes' | 'observe'> {
  readonly ids: readonly string[]
  /** The rungs of these answers: when the deadline passes, the first of them that was not told yet says so. */
  readonly rungs: (answers: Answers) => readonly Pick<Finding, 'id' | 'title'>[]
  /** Tells `watch` each finding itself, in the order of the rungs; what comes after the signal is not heard. */
  readonly find: (answers: Answers, around: CheckSurroundings, run: DiagnosisRun) => Promise<readonly Finding[]>
}

interface DiagnosisRun {
  readonly signal: AbortSignal
  readonly watch: CheckWatcher
  /** Milliseconds since it began. */
  readonly elapsed: () => number
}

/** Several findings that are observed and judged in one go, under one deadline. Its run throws what fails when all are told. */
export function defineDiagnosis<Answers>(spec: DiagnosisSpec<Answers>): Check<Answers> {
  return {
    ids: spec.ids,
    run: async (answers, around, watch) => {
      const { skip = nothingSkipped } = around
      const rungsHere = spec.rungs(answers)
      // Nothing that it could say is asked for: it is not run at all.
      if (rungsHere.every(({ id }) => skip.has(id))) return judgeLadder(rungsHere.map(unjudged), null, 0, watch, skip)
      const started = performance.now()
      const elapsed = () => Math.round(performance.now() - started)
      let what = spec.title
      const told: Finding[] = []
      const ticker = setInterval(() => watch.waiting?.(spec.id, what, elapsed()), 500)
      const progress = (now: string) => {
        what = now
      }
      const deadlineMs = typeof spec.deadlineMs === 'function' ? spec.deadlineMs(answers) : spec.deadlineMs
      try {
        const find = (signal: AbortSignal) => {
          const finding = (one: Finding) => {
            if (signal.aborted) return
            told.push(one)
            watch.finding?.(one)
          }
          return spec.find(answers, { ...around, progress }, { signal, watch: { ...watch, finding }, elapsed })
        }
        return [...(await withDeadline(deadlineMs, find))]
      } catch (thrown) {
        const late = thrown instanceof DeadlineError
        const say = late ? `No answer within ${deadlineMs / 1000} s (waiting for: ${what}).` : messageOf(thrown)
        // What was told stands.
        const rest = rungsHere.slice(told.length)
        const first = rest.find(({ id }) => !skip.has(id))
        // All is judged, and what came after it failed: there is no rung that could say so.
        if (first === undefined) throw thrown
        const others = rest.map((rung) => {
          const finding =
            rung === first
              ? unobserved(rung, { fix: said(spec.fix, answers), field: spec.field }, say, elapsed())
              : (leftOut(rung, skip) ?? notReached(rung))
          watch.finding?.(finding)
          return finding
        })
        return [...told, ...others]
      } finally {
        clearInterval(ticker)
        watch.waited?.(spec.id)
      }
    }
  }
}

/** Runs independent checks side by side; findings come in the order of the list. @throws what a check could not put into a finding */
export async function runChecks<Answers>(
  checks: readonly Check<Answers>[],
  answers: Answers,
  around: CheckSurroundings,
  watch: CheckWatcher = {}
): Promise<Finding[]> {
  const runs = await Promise.allSettled(checks.map((check) => check.run(answers, around, watch)))
  return runs.flatMap((run) => {
    if (run.status === 'rejected') throw run.reason
    return run.value
  })
}

/** A rung that was left out is never judged. */
const unjudged = ({ id, title }: Pick<Finding, 'id' | 'title'>): Rung<null> => ({ id, title, outcomes: [] })

/** Observing itself failed: the first rung says so, with the check's own cure. */
function unobserved(
  rung: Pick<Finding, 'id' | 'title'>,
  spec: { readonly fix: string; readonly field?: string | undefined },
  say: string,
  ms: number
): Finding {
  const field = spec.field === undefined ? {} : { field: spec.field }
  return { id: rung.id, title: rung.title, verdict: 'fail', say, cure: spec.fix, ...field, ms }
}

class DeadlineError extends Error {}

async function withDeadline<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      abort.abort()
      reject(new DeadlineError())
    }, ms)
  })
  try {
    return await Promise.race([work(abort.signal), late])
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}
