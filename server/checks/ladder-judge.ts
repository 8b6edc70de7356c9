/**
 * What is judged from an observation, rung by rung: the first outcome that fits speaks, and after a failed rung the rest is
 * not reached.
 */
import type { CheckWatcher, Finding, Offer, Skips, Verdict } from './check.ts'

type Says<Seen, T> = T | ((seen: Seen) => T)

export interface Outcome<Seen> {
  readonly verdict: Verdict
  /** Absent on the last outcome, and only there. */
  readonly when?: (seen: Seen) => boolean
  readonly say: Says<Seen, string>
  readonly fix?: Says<Seen, string>
  readonly field?: Says<Seen, string>
  readonly guide?: Says<Seen, string | undefined>
  readonly offer?: Says<Seen, Offer | undefined>
  readonly ckr?: (seen: Seen) => Finding['ckr'] | undefined
}

/** One row of a ladder: judged from the same observation as its neighbours. */
export interface Rung<Seen> {
  readonly id: string
  readonly title: string
  readonly outcomes: readonly Outcome<Seen>[]
  /** A failed rung leaves those after it `skip`, unless this is true for them. */
  readonly independent?: boolean
  /** True as soon as nothing that is still to be observed can change the verdict; absent: when all of it was observed. */
  readonly settled?: (seen: Seen) => boolean
  /** Milliseconds that this rung's own part of the observation took; absent: all of it. */
  readonly took?: (seen: Seen) => number
}

export const nothingSkipped: Skips = new Map()

/** The whole of an observation judged at once; see LadderJudge. */
export function judgeLadder<Seen>(
  rungs: readonly Rung<Seen>[],
  seen: Seen,
  ms: number,
  watch: CheckWatcher,
  skip: Skips = nothingSkipped
): Finding[] {
  return new LadderJudge(rungs, watch, { ms, skip }).finish(seen)
}

/**
 * Judges an observation rung by rung, each once and in order: after a failed one the rest is `skip`, independent ones
 * apart. One that is left out counts as if it had passed: those after it are judged all the same, so that none hides
 * behind it. While it is still being observed, `look` goes as far up as what is seen has settled.
 */
export class LadderJudge<Seen> {
  readonly #rungs: readonly Rung<Seen>[]
  readonly #watch: CheckWatcher
  readonly #skip: Skips
  /** What a rung without a time of its own took. */
  readonly #ms: number
  readonly #findings: Finding[] = []
  #failed = false

  constructor(
    rungs: readonly Rung<Seen>[],
    watch: CheckWatcher,
    { ms = 0, skip = nothingSkipped }: { readonly ms?: number; readonly skip?: Skips } = {}
  ) {
    this.#rungs = rungs
    this.#watch = watch
    this.#ms = ms
    this.#skip = skip
  }

  look(seen: Seen): void {
    this.#climb(seen, (rung) => rung.settled?.(seen) === true)
  }

  /** @param seen all of it */
  finish(seen: Seen): Finding[] {
    this.#climb(seen, () => true)
    return this.#findings
  }

  #climb(seen: Seen, isSettled: (rung: Rung<Seen>) => boolean): void {
    for (const rung of this.#rungs.slice(this.#findings.length)) {
      const passedOver = leftOut(rung, this.#skip) ?? (this.#failed && !rung.independent ? notReached(rung) : null)
      if (passedOver === null && !isSettled(rung)) return
      const finding = passedOver ?? judge(rung, seen, Math.round(rung.took?.(seen) ?? this.#ms))
      this.#failed ||= finding.verdict === 'fail'
      this.#findings.push(finding)
      this.#watch.finding?.(finding)
    }
  }
}

function judge<Seen>(rung: Rung<Seen>, seen: Seen, ms: number): Finding {
  const outcome = rung.outcomes.find((candidate) => candidate.when === undefined || candidate.when(seen))
  if (outcome === undefined) throw new Error(`${rung.id}: the last outcome must have no condition`)
  const cure = outcome.fix === undefined ? undefined : said(outcome.fix, seen)
  const field = outcome.field === undefined ? undefined : said(outcome.field, seen)
  const offer = outcome.offer === undefined ? undefined : said(outcome.offer, seen)
  const guide = outcome.guide === undefined ? undefined : said(outcome.guide, seen)
  const ckr = outcome.ckr?.(seen)
  return {
    id: rung.id,
    title: rung.title,
    verdict: outcome.verdict,
    say: said(outcome.say, seen),
    ...(cure === undefined ? {} : { cure }),
    ...(field === undefined ? {} : { field }),
    ...(guide === undefined ? {} : { guide }),
    ...(offer === undefined ? {} : { offer }),
    ...(ckr === undefined ? {} : { ckr }),
    ms
  }
}

export function said<Seen, T>(words: Says<Seen, T>, seen: Seen): T {
  return typeof words === 'function' ? (words as (seen: Seen) => T)(seen) : words
}

export function leftOut({ id, title }: Pick<Finding, 'id' | 'title'>, skip: Skips): Finding | null {
  const reason = skip.get(id)
  return reason === undefined ? null : { id, title, verdict: 'skip', say: `Skipped: ${reason}`, skipped: reason, ms: 0 }
}

export function notReached(rung: Pick<Finding, 'id' | 'title'>): Finding {
  return { id: rung.id, title: rung.title, verdict: 'skip', say: 'Not reached.', ms: 0 }
}
