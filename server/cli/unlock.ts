import { resolve } from 'node:path'
import type { Command } from 'commander'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { unlockRequest } from '../install/install.ts'
import { writeSetupCode } from '../web/access.ts'
import { ending, say } from './console.ts'

export function registerUnlock(program: Command, defaultState: string): void {
  const withState = (command: Command) =>
    command.option('--state <folder>', 'state folder of the install', defaultState)

  withState(program.command('unlock').description('Opens a finished setup again, with a fresh one-time code.')).action(
    (flags: { readonly state: string }) =>
      ending(async () => {
        const stateDir = resolve(flags.state)
        const code = await writeSetupCode(stateDir)
        await writePrivateFile(`${stateDir}/${unlockRequest}`, new Date().toISOString())
        process.stdout.write(`${code}\n`)
        say('Setup is open again (a wizard that does not run yet opens it when it is started).')
      })
  )

  withState(program.command('code').description('Makes a fresh one-time setup code; an older one is void.')).action(
    (flags: { readonly state: string }) =>
      ending(async () => {
        process.stdout.write(`${await writeSetupCode(resolve(flags.state))}\n`)
      })
  )
}
