/** Every *.test.ts, each in a process of its own, through node:test's own runner. */
import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'
import type { Work } from './lanes.ts'
import type { Tally } from './tally.ts'

const root = resolve(import.meta.dirname, '../..')

export interface Limits {
  readonly testMs: number
  /** node:test has no limit for a file that never gets to its tests, or never ends: this ends its process. */
  readonly fileMs: number
}

/**
 * @param only paths from the root; empty means everything
 * @throws Error when nothing is found at all, so that a moved folder cannot pass as green
 */
export function findTestFiles(only: readonly string[]): string[] {
  const hidden = (path: string): boolean => /(^|\/)(node_modules|\.[^/]+)$/.test(path)
  const files = globSync('**/*.test.ts', { cwd: root, exclude: hidden }).sort()
  if (files.length === 0) throw new Error('there is no *.test.ts under the checkout')
  return only.length === 0 ? files : files.filter((file) => only.some((path) => file.startsWith(path)))
}

/**
 * @param files paths from the root
 * @returns what is slow first, so that no lane ends alone with it: whole installs, then by length, which tells well enough
 */
export function testFileWork(
  files: readonly string[],
  signal: AbortSignal,
  limits: Limits = { testMs: 120_000, fileMs: 300_000 }
): Work[] {
  const read = files.map((file) => {
    const text = readFileSync(resolve(root, file), 'utf8')
    return { file, fixedPorts: fixedPorts.test(text), weight: text.length + (installs.test(text) ? 1e6 : 0) }
  })
  return read
    .sort((one, other) => other.weight - one.weight)
    .map(({ file, fixedPorts }) => ({ fixedPorts, run: () => runTestFile(file, signal, limits) }))
}

/** Stands in the head of a test file that listens where another install may: services' own ports, 8080. */
const fixedPorts = /^ ?(?:\/\/|\*|\/\*\*).*@fixed-ports\b/m
const installs = /\bopen(?:Install)?World\b/

async function runTestFile(file: string, stop: AbortSignal, limits: Limits): Promise<Tally> {
  const failures: string[] = []
  const skips: string[] = []
  let passed = 0
  let printed = ''
  const fail = (name: string, why: unknown): void => {
    failures.push(`${file}: ${name}`)
    console.log(`\nFAIL ${file}: ${name}\n${typeof why === 'string' ? why : inspect(why)}`)
  }
  const began = performance.now()
  const stream = run({
    files: [resolve(root, file)],
    timeout: limits.testMs,
    signal: AbortSignal.any([stop, AbortSignal.timeout(limits.fileMs)]),
    execArgv: ['--import', resolve(root, 'scripts/leak-guard.mjs')]
  })
  const keep = (data: { message: string }): void => {
    printed = (printed + data.message).slice(-4000)
  }
  stream.on('test:stdout', keep)
  stream.on('test:stderr', keep)
  stream.on('test:pass', ({ name, details, skip, todo }) => {
    if (skip !== undefined || todo !== undefined) skips.push(`${file}: ${name}${reason(skip ?? todo)}`)
    else if (details.type === 'suite') return
    else if (name === resolve(root, file)) fail('the file', 'It ended without a single test.')
    else passed++
  })
  stream.on('test:fail', ({ name, details }) => {
    if (details.type === 'suite' && !isOwnFailure(details.error)) return
    fail(name === resolve(root, file) ? 'the file' : name, details.error.cause ?? details.error)
  })
  await new Promise<void>((done, broken) => {
    stream.once('end', done)
    stream.once('error', broken)
    stream.resume()
  })
  const failed = failures.length
  const time = `${((performance.now() - began) / 1000).toFixed(1)} s`
  const leak = /^left open after .*$/m.exec(printed)?.[0]
  if (leak !== undefined) console.log(`note ${file}: ${leak}`)
  if (failed > 0 && printed !== '') console.log(`What ${file} printed:\n${printed}`)
  console.log(`${failed === 0 ? 'ok  ' : 'FAIL'} ${file}: ${passed} passed, ${failed} failed (${time})`)
  return { passed, failed, skipped: skips.length, failures, skips }
}

/** A suite that failed only since something in it failed was counted there; one whose hook threw was not. */
function isOwnFailure(error: Error): boolean {
  return !('failureType' in error && error.failureType === 'subtestsFailed')
}

function reason(why: string | boolean | undefined): string {
  return typeof why === 'string' && why !== '' ? ` (${why})` : ' (no reason given)'
}
