/**
 * `npm run test:crash`: installs that are killed or refused the disk, run again, and compared; then races of two applies
 * (docs/crash.md). A run that was interrupted goes on where it was; `--again` begins anew, `--only "rename 7 before"` runs one.
 */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fromRoot } from '../../sandbox/root.ts'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { sharedParts, sharedSandboxVariable, shareSandbox } from '../../sandbox/testing.ts'
import { openInstallWorld } from '../testing/world.ts'
import { diskPoints, killPoints, nameOf, type Point, pointFrom, sample } from './points.ts'
import { race } from './races.ts'
import { type PointResult, type Reference, referenceRun, runPoint } from './run-point.ts'
import { summary } from './summary.ts'
import { missedBy } from './witness.ts'

const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '320' },
    disk: { type: 'string', default: '60' },
    races: { type: 'string', default: '100' },
    seed: { type: 'string', default: '4' },
    lanes: { type: 'string', default: '2' },
    only: { type: 'string', multiple: true },
    again: { type: 'boolean', default: false }
  }
})

const folder = mkdtempSync(join(tmpdir(), 'ks-crash-'))
const list = fromRoot(`.cache/crash/seed-${values.seed}.jsonl`)
let held = false
try {
  held = await run()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(held ? 0 : 1)

/** @returns whether all that was promised held */
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
  const reference = await referenceRun()
  const { calls, packets } = reference
  const [kills, refusals] = [killPoints(calls, packets.length), diskPoints(calls)]
  const only = values.only?.map(pointFrom)
  const chosen = only ?? [
    ...sample(kills, Number(values.points), values.seed),
    ...sample(refusals, Number(values.disk), values.seed)
  ]
  console.log(`${calls.length} calls and ${packets.length} packets to the database: ${kills.length} kill points,`)
  console.log(`${refusals.length} refusals of the disk; ${chosen.length} chosen by seed ${values.seed}`)
  const results = await runPoints(chosen, reference, only === undefined)
  console.log(summary(results, reference.installMs))
  const missed = only === undefined ? await missedBy() : []
  for (const line of missed) console.log(line)
  const lost = only === undefined ? await runRaces(Number(values.races)) : 0
  return lost === 0 && missed.length === 0 && results.every(({ problems }) => problems.length === 0)
}

async function runPoints(chosen: readonly Point[], { digest }: Reference, keep: boolean): Promise<PointResult[]> {
  const known = keep ? knownResults() : []
  const waiting = chosen.filter((point) => !known.some((result) => result.point === nameOf(point)))
  const fresh: PointResult[] = []
  const lane = async () => {
    for (let point = waiting.shift(); point !== undefined; point = waiting.shift()) {
      const result = await runPoint(point, digest).catch((thrown) => broken(nameOf(point), thrown))
      fresh.push(result)
      if (keep) appendFileSync(list, `${JSON.stringify(result)}\n`)
      console.log(lineOf(result))
    }
  }
  await Promise.all(Array.from({ length: Number(values.lanes) }, lane))
  const names = new Set(chosen.map(nameOf))
  return [...known, ...fresh].filter(({ point }) => names.has(point))
}

function broken(point: string, thrown: unknown): PointResult {
  const why = thrown instanceof Error ? thrown.stack : String(thrown)
  return { point, struck: null, code: null, resumeMs: 0, problems: [`the harness: ${why}`] }
}

/** Of an earlier run that was interrupted; what did not hold is tried again. */
function knownResults(): readonly PointResult[] {
  mkdirSync(fromRoot('.cache/crash'), { recursive: true })
  if (values.again) rmSync(list, { force: true })
  if (!existsSync(list)) return []
  const lines = readFileSync(list, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as PointResult).filter(({ problems }) => problems.length === 0)
}

/** @returns how many races had no winner, or two */
async function runRaces(count: number): Promise<number> {
  const world = await openInstallWorld()
  let lost = 0
  try {
    const answers = world.answersFile()
    for (let number = 1; number <= count; number++) {
      const { problems } = await race(world, answers, number % 2 === 0)
      if (problems.length > 0) lost += 1
      for (const problem of problems) console.log(`race ${number}: ${problem}`)
    }
  } finally {
    await world.close()
  }
  console.log(`races of two applies: ${count}; with one winner: ${count - lost}`)
  return lost
}

function lineOf({ point, struck, code, resumeMs, problems }: PointResult): string {
  const end = struck === null ? 'not reached' : code === null ? 'killed' : `ended ${code}`
  const words = problems.length === 0 ? 'same end' : `FAILED\n    ${problems.join('\n    ')}`
  return `${point} (${struck ?? ''}): ${end}, again ${(resumeMs / 1000).toFixed(1)} s, ${words}`
}
