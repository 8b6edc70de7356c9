/** What a benchmark is: a reference and ours, measured in turns, and the ratio judged against a floor and an aim. */

export interface Measured {
  /** Per second. */
  readonly rate: number
  /** Latency and the like, to be shown beside it: name to value, in milliseconds. */
  readonly times?: Readonly<Record<string, number>>
  /** Microseconds of a core for each one, by who spends them. */
  readonly costs?: Readonly<Record<string, number>>
}

/** Ours against one reference, or against what a formula makes of several. */
export interface Ratio {
  readonly name: string
  /** Null: told beside the others, held to nothing of its own. */
  readonly floor: number | null
  readonly aim: number | null
  /** @param rates of one round, by the names of `runs` */
  readonly of: (rates: Readonly<Record<string, number>>) => number
}

/** A bound on one of the times that ours measures beside its rate, e.g. its p99. */
export interface Limit {
  readonly time: string
  /** Milliseconds. */
  readonly most: number
}

/** One thing measured: its runs take turns, so that whatever else the machine does meets all of them alike. */
export interface Case {
  readonly name: string
  /** In the order of the turns; each gives its rate. */
  readonly runs: Readonly<Record<string, (ms: number) => Promise<Measured>>>
  readonly ratios: readonly Ratio[]
  /** Name of the run that is ours: its times and costs are shown, its times held to the limits. */
  readonly ours: string
  readonly limits: readonly Limit[]
}

export interface Benchmark {
  readonly title: string
  /** Makes what the cases need; `end` takes it away again. */
  readonly open: () => Promise<{ readonly cases: readonly Case[]; readonly end: () => Promise<void> }>
}

export interface Round {
  readonly rates: Readonly<Record<string, number>>
  readonly times: Readonly<Record<string, number>>
  readonly costs: Readonly<Record<string, number>>
}

export type Verdict = 'aim reached' | 'floor held' | 'below the floor'

export interface JudgedTime {
  readonly name: string
  /** Milliseconds: the median of the rounds. */
  readonly median: number
  readonly max: number
  /** Null: no limit. */
  readonly most: number | null
  readonly verdict: Verdict
}

export interface Judged {
  readonly name: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly floor: number | null
  readonly aim: number | null
  readonly verdict: Verdict
}

export function judge({ name, floor, aim, of }: Ratio, rounds: readonly Round[]): Judged {
  const values = rounds.map(({ rates }) => of(rates))
  const middle = median(values)
  return { name, median: middle, min: Math.min(...values), max: Math.max(...values), floor, aim, verdict: verdictOf() }

  function verdictOf(): Verdict {
    if (floor !== null && !(middle >= floor)) return 'below the floor'
    return aim !== null && middle >= aim ? 'aim reached' : 'floor held'
  }
}

/** Latency and lag of ours: the median over the rounds against its limit. */
export function judgeTimes({ limits }: Case, rounds: readonly Round[]): JudgedTime[] {
  const names = Object.keys(rounds[0]?.times ?? {})
  return names.map((name) => {
    const values = rounds.map(({ times }) => times[name] ?? Number.NaN)
    const most = limits.find(({ time }) => time === name)?.most ?? null
    const middle = median(values)
    const verdict = most === null || middle <= most ? 'floor held' : 'below the floor'
    return { name, median: middle, max: Math.max(...values), most, verdict }
  })
}

/** Not a number when there is none of that name: then no floor is held. */
export function rateOf(rates: Readonly<Record<string, number>>, name: string): number {
  return rates[name] ?? Number.NaN
}

/** Two stages one after the other, each as fast as it is alone. */
export function harmonic(one: number, other: number): number {
  return 1 / (1 / one + 1 / other)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}
