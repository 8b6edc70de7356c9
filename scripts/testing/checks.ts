/** The checks that run no test: each counts as one. They are defined once, as npm scripts. */
import { spawn } from 'node:child_process'
import type { Work } from './lanes.ts'
import { nothing, type Tally } from './tally.ts'

const checks = ['lint', 'typecheck', 'deadcode']

export function checkWork(signal: AbortSignal): Work[] {
  return checks.map((name) => ({ fixedPorts: false, run: () => runCheck(name, signal) }))
}

async function runCheck(name: string, signal: AbortSignal): Promise<Tally> {
  const began = performance.now()
  const child = spawn('npm', ['run', '--silent', name], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => printed.push(chunk))
  const problem = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code) => resolve(code === 0 ? null : `code ${code}`))
  })
  console.log(`${problem === null ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  if (problem === null) return { ...nothing, passed: 1 }
  console.log(Buffer.concat(printed).toString().trim())
  return { ...nothing, failed: 1, failures: [`npm run ${name}: ${problem}`] }
}
