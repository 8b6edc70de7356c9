import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { openLog } from '../../lib/log/log.ts'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { identityFiles } from '../deploy/service-identity.ts'
import { readAnswersFile } from '../install/answers-file.ts'
import { applyAnswers } from '../install/apply-answers.ts'
import { steps } from '../install/steps.ts'
import { serve } from '../main.ts'
import type { ApplyResult } from '../steps/step.ts'
import { askedToEnd, ending, portFrom, say } from './console.ts'

/** As a shell has it for an interrupted program. */
const interrupted = 130

interface ApplyFlags {
  readonly state: string
  readonly exit: boolean
  readonly port: string
}

export function registerApply(program: Command, defaultState: string): void {
  program
    .command('apply <answers>')
    .description('Installs from an answers file, then keeps the services running until SIGTERM.')
    .option('--state <folder>', 'where boot file, credentials, logs and run files are', defaultState)
    .option('--port <number>', 'port of the status page on 127.0.0.1 (0: any free one)', '0')
    .option('--exit', 'end when all is applied; the services go on, a later serve adopts them', false)
    .action((answers: string, flags: ApplyFlags) => ending(() => runApply(answers, flags)))
}

async function runApply(answersFile: string, flags: ApplyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const port = portFrom(flags.port)
  const file = await readAnswersFile(answersFile, steps)
  const ended = Promise.race([askedToEnd(), new Promise<void>((gone) => watchLifeline(gone))])
  const wizard = await serve({
    stateDir,
    host: '127.0.0.1',
    port,
    allowedHosts: [],
    suggestions: {},
    setup: false,
    log: openLog('wizard', 'warn'),
    say
  })
  const { install } = wizard
  const work = async () => {
    await wizard.takenUp
    const resumed = install.takeShowOnce()
    if (resumed !== undefined) await keepShownOnce(stateDir, 'account', resumed)
    if (install.finishedAt() !== null) return say('Installed already; nothing is changed.')
    await applyAnswers(install, file, {
      begin: (_step, title) => say(`${title} …`),
      done: (step, ms) => say(`  ${step} done (${ms} ms)`),
      showOnce: (step, values) => keepShownOnce(stateDir, step, values),
      watch: { phase: (text) => say(`  ${text}`) }
    })
  }
  const working = work().then(() => 'applied' as const)
  try {
    if ((await Promise.race([working, ended])) !== 'applied') {
      working.catch(() => {}) // What is cut off here is finished by the next run.
      say('Stopping before all is applied. Run this again: it goes on from where it stopped.')
      await wizard.close(true)
      process.exit(interrupted)
    }
  } catch (thrown) {
    await wizard.close(true)
    throw thrown
  }
  const services = Object.fromEntries((await install.target.status()).map(({ name, address }) => [name, address]))
  const { ca } = identityFiles(stateDir, 'wizard')
  process.stdout.write(`${JSON.stringify({ install: install.id, wizard: wizard.url, services, ca })}\n`)
  if (!flags.exit) await ended
  await wizard.close(!flags.exit)
  process.exit(0)
}

/** What the form would show once (the participant's secret): into a file that only we may read, never onto the console. */
async function keepShownOnce(
  stateDir: string,
  step: string,
  values: NonNullable<ApplyResult['showOnce']>
): Promise<void> {
  const path = join(stateDir, 'shown-once', `${step}.txt`)
  await writePrivateFile(path, values.map(({ label, value }) => `${label}: ${value}\n`).join(''))
  say(`  shown once: ${path} (take it away from there)`)
}
