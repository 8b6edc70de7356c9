/**
 * `npm run bench`: ratios against C on the same token in the same run, never seconds. `npm run bench -- p1 p3` runs only these,
 * `--json` prints one line of JSON a benchmark instead of the tables, `sweep-…` says which load a benchmark should put on. Ends with 1
 * when a floor is not held.
 */
import { parseArgs } from 'node:util'
import type { Benchmark } from './benchmark.ts'
import { installBenchmark } from './first-install.ts'
import { keyStoreBenchmark } from './key-store.ts'
import { machine } from './machine.ts'
import { measure, type Report } from './measure.ts'
import { printed } from './printed.ts'
import { fastTokenBenchmark, slowTokenBenchmark } from './rest.ts'
import { sweep, sweepNames } from './sweep.ts'

const benchmarks: Readonly<Record<string, Benchmark>> = {
  p1: keyStoreBenchmark,
  p2: slowTokenBenchmark,
  p3: fastTokenBenchmark,
  p11: installBenchmark
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '5' } }
})
const rounds = Number(values.rounds)
const names = positionals.length === 0 ? Object.keys(benchmarks) : positionals
const unknown = names.filter((name) => benchmarks[name] === undefined && !sweepNames.includes(name))
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
  process.stderr.write(
    `usage: npm run bench -- [${[...Object.keys(benchmarks), ...sweepNames].join('|')}]… [--rounds N] [--json]\n`
  )
  process.exit(2)
}

if (!values.json) console.log(`${machine()}\n`)
const reports: Report[] = []
for (const name of names) {
  const benchmark = benchmarks[name]
  if (benchmark === undefined) {
    console.log(await sweep(name))
    continue
  }
  const report = await measure(name, benchmark, rounds)
  reports.push(report)
  console.log(values.json ? JSON.stringify({ machine: machine(), ...report }) : printed(report))
}
process.exitCode = reports.every(({ held }) => held) ? 0 : 1
