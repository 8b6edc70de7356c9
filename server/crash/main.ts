/**
 * `npm run test:crash`: installs that are killed, run again, and compared (docs/crash.md). `--points 300`, `--seed 4`, `--lanes 2`,
 * `--disk` for refused writes instead of kills, `--only "rename 7 before"` for one, `--again` to begin a list anew.
 */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fromRoot } from '../../sandbox/root.ts'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { sharedParts, sharedSandboxVariable, shareSandbox } from '../../sandbox/testing.ts'
import { diskPoints, killPoints, nameOf, pointFrom, sample } from './points.ts'
import { type PointResult, referenceRun, runPoint } from './run-point.ts'
import { summary } from './summary.ts'

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '320' },
    seed: { type: 'string', default: '4' },
    lanes: { type: 'string', default: '2' },
    disk: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    again: { type: 'boolean', default: false }
  }
})

const folder = mkdtempSync(join(tmpdir(), 'ks-crash-'))
const list = fromRoot(`.cache/crash/${values.disk ? 'disk' : 'kill'}-${values.seed}.jsonl`)
let failed = true
try {
  failed = await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)

async function run(): Promise<boolean> {
  if (process.env[sharedSandboxVariable] !== undefined) return runAll()
  const sandbox = await startSandbox({ parts: sharedParts, report: (line) => console.log(line) })
  try {
    const addresses = join(folder, 'sandbox.json')
    shareSandbox(sandbox, addresses)
    process.env[sharedSandboxVariable] = addresses
    return await runAll()
  } finally {
    await sandbox.stop()
  }
}

async function runAll(): Promise<boolean> {
  const compiled = join(folder, 'compiled')
  const reference = await referenceRun(compiled)
  const all = values.disk ? diskPoints(reference.calls) : killPoints(reference.calls, reference.packets.length)
  const chosen = values.only?.map(pointFrom) ?? sample(all, Number(values.points), values.seed)
  console.log(
    `${all.length} points in ${reference.calls.length} calls and ${reference.packets.length} packets; ${chosen.length} chosen (seed ${values.seed})`
  )
  const results = values.only === undefined ? known() : []
  const done = new Set(results.map(({ point }) => point))
  const waiting = chosen.filter((point) => !done.has(nameOf(point)))
  const lane = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      const result = await runPoint(point, reference.digest, compiled).catch(
        (thrown): PointResult => ({
          point: nameOf(point),
          struck: null,
          code: null,
          resumeMs: 0,
          problems: [`the harness: ${thrown instanceof Error ? thrown.stack : String(thrown)}`]
        })
      )
      results.push(result)
      if (values.only === undefined) keep(result)
      console.log(lineOf(result))
    }
  }
  await Promise.all(Array.from({ length: Number(values.lanes) }, lane))
  const names = new Set(chosen.map(nameOf))
  const counted = results.filter(({ point }) => names.has(point))
  console.log(summary(counted, reference.installMs))
  return counted.some(({ problems }) => problems.length > 0)
}

/** Results of an earlier run that was interrupted. */
function known(): PointResult[] {
  mkdirSync(fromRoot('.cache/crash'), { recursive: true })
  if (values.again) rmSync(list, { force: true })
  if (!existsSync(list)) return []
  return readFileSync(list, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as PointResult)
}

function keep(result: PointResult): void {
  appendFileSync(list, `${JSON.stringify(result)}\n`)
}

function lineOf({ point, struck, code, resumeMs, problems }: PointResult): string {
  const end = struck === null ? 'not reached' : code === null ? 'killed' : `ended ${code}`
  const words = problems.length === 0 ? 'same end' : `FAILED\n    ${problems.join('\n    ')}`
  return `${point} (${struck ?? ''}): ${end}, again ${(resumeMs / 1000).toFixed(1)} s, ${words}`
}
