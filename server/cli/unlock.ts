import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { unlockRequest } from '../install/install.ts'
import { writeSetupCode } from '../web/access.ts'
import { ending, say } from './console.ts'

export function registerUnlock(program: Command, defaultState: string): void {
  const withState = (command: Command) =>
    command.option('--state <folder>', 'state folder of the install', defaultState)

  withState(program.command('unlock').description('Opens a finished setup again, with a fresh one-time code.')).action(
    (flags: { readonly state: string }) =>
      ending(async () => {
        const stateDir = installIn(flags.state)
        const code = await writeSetupCode(stateDir)
        await writePrivateFile(`${stateDir}/${unlockRequest}`, new Date().toISOString())
        process.stdout.write(`${code}\n`)
        say('Setup is open again (a wizard that does not run yet opens it when it is started).')
      })
  )

  withState(
    program
      .command('code')
      .description(
        'Makes a fresh one-time code, for setup or, after it, for the page of a new key store password; an older one is void.'
      )
  ).action((flags: { readonly state: string }) =>
    ending(async () => {
      process.stdout.write(`${await writeSetupCode(installIn(flags.state))}\n`)
    })
  )
}

/** A folder that is mistyped, or the default one, would be told that it is open, and get a code for nothing. */
function installIn(folder: string): string {
  const stateDir = resolve(folder)
  if (existsSync(join(stateDir, 'boot.json'))) return stateDir
  throw new AppError('not-found', `There is no install in ${stateDir}.`, {
    cure: 'Name its state folder: --state <folder>.'
  })
}
