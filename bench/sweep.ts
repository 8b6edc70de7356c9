/**
 * Which load the benchmarks of the KMS put on it: loads of different sizes in turns, as a table. The smallest one that keeps the cores
 * busy is taken: more connections bring nothing but longer waits. Held to nothing, so it is run by name only.
 */
import { availableParallelism } from 'node:os'
import { type Measured, median } from './benchmark.ts'
import type { BenchKey, BenchKms } from './kms.ts'
import { machineTime } from './processor-time.ts'
import { openFastToken, openSlowToken } from './rest.ts'
import { type Load, sign } from './signing-load.ts'

interface Sweep {
  readonly kms: BenchKms
  readonly key: BenchKey
  readonly loads: readonly Load[]
}

const single = (...connections: number[]): Load[] => connections.map((some) => ({ connections: some, batch: null }))
const batches = (...sizes: [number, number][]): Load[] => sizes.map(([connections, batch]) => ({ connections, batch }))

async function fast(algorithm: 'EC-P256' | 'RSA-3072', loads: readonly Load[]): Promise<Sweep> {
  const { kms, keys } = await openFastToken()
  return { kms, key: keys[algorithm], loads }
}

const sweeps: Readonly<Record<string, () => Promise<Sweep>>> = {
  'sweep-ec': () => fast('EC-P256', single(8, 16, 24, 32, 64)),
  'sweep-ec-batches': () => fast('EC-P256', batches([1, 32], [2, 16], [2, 32], [2, 64], [4, 16], [4, 32])),
  'sweep-rsa': () => fast('RSA-3072', single(2, 3, 4, 6, 8)),
  'sweep-rsa-batches': () => fast('RSA-3072', batches([1, 4], [1, 8], [2, 2], [2, 4])),
  'sweep-p2': async () => ({ ...(await openSlowToken()), loads: single(30, 40, 50, 60, 90) })
}
export const sweepNames = Object.keys(sweeps)

const runMs = 600
const longestMs = 55_000
/** Of the cores that others take in a run: with more it does not count. */
const mostOfOthers = 0.12

/** Within a minute. @returns a table in Markdown */
export async function sweep(name: string): Promise<string> {
  const until = Date.now() + longestMs
  const open = sweeps[name]
  if (open === undefined) throw new Error(`no sweep ${name}`)
  const { kms, key, loads } = await open()
  const seen = loads.map((load) => ({ load, counted: [] as Measured[], runs: 0 }))
  try {
    while (Date.now() < until) {
      // Whose turn it is: who has been counted least.
      const [one] = seen.toSorted((a, b) => a.counted.length - b.counted.length)
      if (one === undefined) break
      const { measured, others } = await alone(kms, () => sign(kms, key, one.load, runMs))
      one.runs += 1
      if (others <= mostOfOthers) one.counted.push(measured)
    }
  } finally {
    await kms.end()
  }
  const head = ['at once', 'signatures/s', 'cores busy', 'µs for each', 'p50 ms', 'p99 ms', 'runs counted']
  const rows = seen.map(({ load: { connections, batch }, counted, runs }) => {
    const of = (value: (one: Measured) => number, digits = 0) => median(counted.map(value)).toFixed(digits)
    return [
      batch === null ? `${connections}` : `${connections} x ${batch} messages`,
      of(({ rate }) => rate),
      of((one) => (one.rate * spent(one)) / 1e6, 2),
      of(spent),
      of(({ times }) => times?.p50 ?? Number.NaN, 1),
      of(({ times }) => times?.p99 ?? Number.NaN, 1),
      `${counted.length} of ${runs}`
    ]
  })
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return `${name}, medians\n\n${lines.join('\n')}\n`
}

/** Microseconds of a core for a signature, all processes together. */
function spent({ costs = {} }: Measured): number {
  return Object.values(costs).reduce((sum, cost) => sum + cost, 0)
}

/** With what others took of the cores meanwhile, as a share of all of them. */
async function alone(kms: BenchKms, run: () => Promise<Measured>): Promise<{ measured: Measured; others: number }> {
  const ours = () => Object.values(kms.spent()).reduce((sum, seconds) => sum + seconds, 0)
  const [began, before, oursBefore] = [performance.now(), machineTime(), ours()]
  const measured = await run()
  const seconds = (performance.now() - began) / 1000
  const generator = ((measured.costs?.generator ?? 0) / 1e6) * measured.rate * seconds
  const others = machineTime() - before - (ours() - oursBefore) - generator
  return { measured, others: others / (seconds * availableParallelism()) }
}
