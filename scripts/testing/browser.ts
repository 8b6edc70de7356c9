/** The stories in e2e/, by Playwright with Debian's Chromium: one piece of work, told as one block at its end. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Work } from './lanes.ts'
import { nothing, type Tally } from './tally.ts'

const root = resolve(import.meta.dirname, '../..')

/** The part of Playwright's JSON report that counts. */
interface Report {
  readonly stats: { expected: number; unexpected: number; flaky: number; skipped: number }
  readonly errors: readonly { message?: string }[]
  readonly suites: readonly Suite[]
}
interface Suite {
  readonly title: string
  readonly suites?: readonly Suite[]
  readonly specs: readonly Spec[]
}
interface Spec {
  readonly title: string
  readonly file: string
  readonly tests: readonly { status: string; annotations: readonly { type: string; description?: string }[] }[]
}

/** @returns nothing to do when no story was asked for */
export function browserWork(only: readonly string[], folder: string, signal: AbortSignal): Work[] {
  const stories = only.filter((path) => path.startsWith('e2e'))
  if (!existsSync(join(root, 'playwright.config.ts')) || (only.length > 0 && stories.length === 0)) return []
  // Most installs of the stories are the guide's: one address for all, and the services' own ports.
  return [{ fixedPorts: true, run: () => runStories(stories, folder, signal) }]
}

async function runStories(stories: readonly string[], folder: string, signal: AbortSignal): Promise<Tally> {
  const file = join(folder, 'playwright.json')
  const printed: Buffer[] = []
  const began = performance.now()
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules/playwright/cli.js'), 'test', '--reporter=list,json', ...stories],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PLAYWRIGHT_JSON_OUTPUT_FILE: file },
      signal
    }
  )
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => printed.push(chunk))
  const ended = await new Promise<string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('close', (code) => done(`code ${code}`))
  })
  console.log(Buffer.concat(printed).toString().trim())
  const tally = existsSync(file)
    ? tallyReport(JSON.parse(readFileSync(file, 'utf8')), ended)
    : { ...nothing, failed: 1, failures: [`Playwright ended with ${ended} and no report`] }
  const { passed, failed } = tally
  const time = `${((performance.now() - began) / 1000).toFixed(1)} s`
  console.log(`${failed === 0 ? 'ok  ' : 'FAIL'} e2e: ${passed} passed, ${failed} failed (${time})`)
  return tally
}

export function tallyReport(report: Report, ended: string): Tally {
  const { expected, unexpected, flaky, skipped } = report.stats
  const specs = report.suites.flatMap(specsOf)
  const failures = [
    ...specs.filter((spec) => spec.tests.some((test) => test.status === 'unexpected')).map(nameOf),
    ...report.errors.map((error) => `Playwright: ${error.message ?? 'an error without words'}`)
  ]
  // A story that passed only at its second try did not pass.
  failures.push(
    ...specs
      .filter((spec) => spec.tests.some((test) => test.status === 'flaky'))
      .map((spec) => `${nameOf(spec)} (flaky)`)
  )
  const counted = unexpected + flaky + report.errors.length
  const unexplained = counted === 0 && ended !== 'code 0'
  if (unexplained) failures.push(`Playwright ended with ${ended}`)
  const skips = specs
    .filter((spec) => spec.tests.some((test) => test.status === 'skipped'))
    .map((spec) => `${nameOf(spec)}${why(spec)}`)
  return { passed: expected, failed: counted + (unexplained ? 1 : 0), skipped, failures, skips }
}

function specsOf(suite: Suite): readonly Spec[] {
  return [...suite.specs, ...(suite.suites ?? []).flatMap(specsOf)]
}

function nameOf(spec: Spec): string {
  return `e2e/${spec.file}: ${spec.title}`
}

function why(spec: Spec): string {
  const told = spec.tests.flatMap((test) => test.annotations).find((note) => note.description !== undefined)
  return ` (${told?.description ?? 'no reason given'})`
}
