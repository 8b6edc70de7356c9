/**
 * `npm test`: the browser stories, and beside them lint, types, dead code and every *.test.ts, over one shared sandbox.
 * `npm test -- lib/x509 e2e` runs only what lies under the paths given. The last line is always "N passed, N failed".
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compiledCode } from '../lib/keystore/compiled-code.mjs'
import { startSandbox } from '../sandbox/sandbox.ts'
import { sharedParts, sharedSandboxVariable, shareSandbox } from '../sandbox/testing.ts'
import { browserWork } from './testing/browser.ts'
import { checkWork } from './testing/checks.ts'
import { runInLanes } from './testing/lanes.ts'
import { closingLines, nothing, type Tally, total } from './testing/tally.ts'
import { findTestFiles, testFileWork } from './testing/unit.ts'

const deadlineMinutes = 40
const stopping = new AbortController()
const overdue = setTimeout(
  () => stopping.abort(new Error(`not done within ${deadlineMinutes} min`)),
  deadlineMinutes * 60_000
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(signal)))

const only = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'ks-test-'))
const tallies: Tally[] = []
try {
  tallies.push(...(await runAll()))
} catch (error) {
  tallies.push({ ...nothing, failed: 1, failures: [`the run itself: ${String(error)}`] })
} finally {
  clearTimeout(overdue)
  rmSync(folder, { recursive: true, force: true })
}

const all = total(tallies)
for (const skip of all.skips) console.log(`skipped: ${skip}`)
for (const failure of all.failures) console.log(`FAILED: ${failure}`)
console.log(closingLines(all))
process.exit(all.failed > 0 ? 1 : 0)

async function runAll(): Promise<Tally[]> {
  const { signal } = stopping
  // The stories first: they are the longest piece by far, and wait more than they work.
  const work = [
    ...browserWork(only, folder, signal),
    ...(only.length === 0 ? checkWork(signal) : []),
    ...testFileWork(findTestFiles(only), signal)
  ]
  // Else each test file, and what it starts, strips the types of the same files again.
  Object.assign(process.env, compiledCode())
  const sandbox = await startSandbox({ parts: sharedParts, report: (line) => console.log(line) })
  try {
    const addresses = join(folder, 'sandbox.json')
    shareSandbox(sandbox, addresses)
    process.env[sharedSandboxVariable] = addresses
    return await runInLanes(work)
  } finally {
    await sandbox.stop()
  }
}
