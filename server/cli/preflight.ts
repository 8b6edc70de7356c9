/** `keyscaler preflight`: is this machine fit for an install? */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { runPreflight } from '../install/preflight/preflight.ts'
import { ending, printable, say } from './console.ts'
import { findingText } from './finding-text.ts'

interface PreflightFlags {
  readonly state: string
  readonly output: 'text' | 'json'
}

export function registerPreflight(program: Command, defaultState: string): void {
  program
    .command('preflight')
    .description('Looks at this machine before there are any answers; changes nothing. Exit code 4: something fails.')
    .option('--state <folder>', 'state folder of the install to be', defaultState)
    .addOption(program.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))
    .action((flags: PreflightFlags) => ending(() => preflight(flags)))
}

async function preflight({ state, output }: PreflightFlags): Promise<void> {
  const text = output === 'text'
  const told = new Set<string>()
  const findings = await runPreflight(resolve(state), {
    finding: (finding) => text && process.stdout.write(printable(findingText(finding))),
    waiting: (id, what, ms) => {
      if (ms < 1000 || told.has(id)) return
      told.add(id)
      say(`waiting: ${what} …`)
    }
  })
  const failed = findings.some(({ verdict }) => verdict === 'fail')
  if (!text) process.stdout.write(`${JSON.stringify({ verdict: failed ? 'fail' : 'pass', findings }, null, 2)}\n`)
  process.exitCode = failed ? 4 : 0
}
