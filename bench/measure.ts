import { type Benchmark, type Judged, type JudgedTime, judge, judgeTimes, median } from './benchmark.ts'
import { runRounds } from './rounds.ts'

interface CaseReport {
  readonly name: string
  readonly rounds: number
  readonly disturbed: number
  /** Medians, per second. */
  readonly rates: Readonly<Record<string, number>>
  readonly ratios: readonly Judged[]
  readonly times: readonly JudgedTime[]
  /** Medians, microseconds of a core for each one. */
  readonly costs: Readonly<Record<string, number>>
}

export interface Report {
  readonly benchmark: string
  readonly title: string
  readonly at: string
  readonly seconds: number
  readonly cases: readonly CaseReport[]
  /** Every floor and every limit. */
  readonly held: boolean
}

/** A benchmark is done within a minute, its making of tokens and servers included. */
const mostMs = 55_000
const longestRunMs = 1_000
const shortestRunMs = 200
/** Starting a program, logging in, getting warm. */
const aroundRunMs = 400

/** @param rounds of each case */
export async function measure(name: string, benchmark: Benchmark, rounds: number): Promise<Report> {
  const began = Date.now()
  const { cases, end } = await benchmark.open()
  try {
    const reports: CaseReport[] = []
    for (const [index, one] of cases.entries()) {
      // What is left is shared by the cases that are left.
      const now = Date.now()
      const until = now + (began + mostMs - now) / (cases.length - index)
      const turns = rounds * (Object.keys(one.runs).length + 0.5)
      const runMs = Math.round(Math.min(longestRunMs, Math.max(shortestRunMs, (until - now) / turns - aroundRunMs)))
      const { counted, disturbed } = await runRounds(one, { rounds, runMs, until })
      reports.push({
        name: one.name,
        rounds: counted.length,
        disturbed,
        rates: medians(counted.map((round) => round.rates)),
        ratios: one.ratios.map((ratio) => judge(ratio, counted)),
        times: judgeTimes(one, counted),
        costs: medians(counted.map((round) => round.costs))
      })
    }
    const verdicts = reports.flatMap(({ ratios, times }) => [...ratios, ...times].map(({ verdict }) => verdict))
    const held = verdicts.every((verdict) => verdict !== 'below the floor')
    const seconds = Math.round((Date.now() - began) / 1000)
    return { benchmark: name, title: benchmark.title, at: new Date(began).toISOString(), seconds, cases: reports, held }
  } finally {
    await end()
  }
}

function medians(rounds: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((round) => round[name] ?? Number.NaN))]))
}
