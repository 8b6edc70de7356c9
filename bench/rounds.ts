/** Rounds of a case, in turns (A B A B …), with a canary before each: a round that the machine disturbed does not count. */
import { createHash } from 'node:crypto'
import { type Case, type Measured, median, type Round } from './benchmark.ts'

export interface Pace {
  readonly rounds: number
  /** Of one run, in milliseconds. */
  readonly runMs: number
  /** No new round begins after this; milliseconds since the epoch. */
  readonly until: number
}

export interface Rounds {
  readonly counted: readonly Round[]
  /** Thrown away, since the canary had drifted. */
  readonly disturbed: number
}

/** More than this away from the canary's median, and the machine was busy with something else. */
const mostDrift = 0.1

export async function runRounds(one: Case, { rounds, runMs, until }: Pace): Promise<Rounds> {
  const seen: { round: Round; canary: number }[] = []
  // Half as many again at most: a machine that is never quiet is told as such, by what is left.
  for (let turn = 0; turn < rounds * 1.5 && undisturbed(seen).length < rounds; turn++) {
    if (turn > 0 && Date.now() > until) break
    const before = canary()
    const round = await runOnce(one, runMs)
    seen.push({ round, canary: Math.min(before, canary()) })
  }
  const counted = undisturbed(seen)
  return { counted, disturbed: seen.length - counted.length }
}

function undisturbed(seen: readonly { round: Round; canary: number }[]): Round[] {
  const usual = median(seen.map(({ canary: rate }) => rate))
  return seen.filter(({ canary: rate }) => Math.abs(rate - usual) <= usual * mostDrift).map(({ round }) => round)
}

async function runOnce({ runs, ours }: Case, runMs: number): Promise<Round> {
  const measured: Record<string, Measured> = {}
  for (const [name, run] of Object.entries(runs)) measured[name] = await run(runMs)
  const rates = Object.fromEntries(Object.entries(measured).map(([name, { rate }]) => [name, rate]))
  return { rates, times: measured[ours]?.times ?? {}, costs: measured[ours]?.costs ?? {} }
}

/** SHA-256 of OpenSSL on one core, for a twentieth of a second; kilobytes per second. */
function canary(): number {
  const block = Buffer.alloc(65_536)
  const end = performance.now() + 50
  const began = performance.now()
  let blocks = 0
  while (performance.now() < end) {
    createHash('sha256').update(block).digest()
    blocks += 1
  }
  return (blocks * 64_000) / (performance.now() - began)
}
