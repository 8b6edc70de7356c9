import { resolve } from 'node:path'
import type { Command } from 'commander'
import { watchLifeline } from '../../lib/service/lifeline.ts'
import { identityFiles } from '../deploy/service-identity.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { readAnswersFile } from '../install/answers-file.ts'
import { applyAnswers } from '../install/apply-answers.ts'
import { openInstall } from '../install/install.ts'
import { takeStateLock } from '../install/state-lock.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { askedToEnd, ending, say } from './console.ts'

interface ApplyFlags {
  readonly state: string
  readonly exit: boolean
}

export function registerApply(program: Command, defaultState: string): void {
  program
    .command('apply <answers>')
    .description('Installs from an answers file, then keeps the services running until SIGTERM.')
    .option('--state <folder>', 'where boot file, credentials, logs and run files are', defaultState)
    .option('--exit', 'end when all is applied; the services go on, a later serve adopts them', false)
    .action((answers: string, flags: ApplyFlags) => ending(() => runApply(answers, flags)))
}

async function runApply(answersFile: string, flags: ApplyFlags): Promise<void> {
  const stateDir = resolve(flags.state)
  const file = await readAnswersFile(answersFile, steps)
  const unlock = await takeStateLock(stateDir)
  const target = processTarget({ stateDir, root })
  const install = await openInstall({ stateDir, steps, target })
  const end = async (services: boolean) => {
    if (services) await target.stop()
    await install.close()
    unlock()
  }
  const ended = Promise.race([askedToEnd(), new Promise<void>((gone) => watchLifeline(gone))])
  try {
    await target.resume()
    if (install.finishedAt() === null) {
      await applyAnswers(install, file, {
        begin: (_step, title) => say(`${title} …`),
        done: (step, ms) => say(`  ${step} done (${ms} ms)`),
        watch: { phase: (text) => say(`  ${text}`) }
      })
    } else say('Installed already; nothing is changed.')
  } catch (thrown) {
    await end(true)
    throw thrown
  }
  const services = Object.fromEntries((await target.status()).map(({ name, address }) => [name, address]))
  const result = { install: install.id, services, ca: identityFiles(stateDir, 'wizard').ca }
  process.stdout.write(`${JSON.stringify(result)}\n`)
  if (!flags.exit) await ended
  await end(!flags.exit)
  process.exit(0)
}
