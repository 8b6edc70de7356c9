/** What `keyscaler <what>` does; `keyscaler --help` lists all. Data on stdout, messages on stderr. Started by cli.mjs. */
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { outliveItsReaders } from './cli/lost-output.ts'
import { product } from './web/product.ts'

type Register = (program: Command, defaultState: string) => void

/** Loaded when asked for: a command costs its own imports and nobody else's. The order is that of the help. */
const commands: Readonly<Record<string, () => Promise<Register>>> = {
  serve: async () => (await import('./cli/serve.ts')).registerServe,
  apply: async () => (await import('./cli/apply.ts')).registerApply,
  plan: async () => (await import('./cli/plan.ts')).registerPlan,
  preflight: async () => (await import('./cli/preflight.ts')).registerPreflight,
  prerequisites: async () => (await import('./cli/prerequisites.ts')).registerPrerequisites,
  config: async () => (await import('./cli/config.ts')).registerConfig,
  destroy: async () => (await import('./cli/destroy.ts')).registerDestroy,
  backup: async () => (await import('./cli/backup.ts')).registerBackup,
  restore: async () => (await import('./cli/backup.ts')).registerRestore,
  record: async () => (await import('./cli/record.ts')).registerRecord,
  'support-bundle': async () => (await import('./cli/support.ts')).registerSupport,
  token: async () => (await import('./cli/token.ts')).registerToken,
  unlock: async () => (await import('./cli/unlock.ts')).registerUnlock,
  hsm: async () => (await import('./cli/hsm.ts')).registerHsm,
  keys: async () => (await import('./cli/keys.ts')).registerKeys,
  license: async () => (await import('./cli/license.ts')).registerLicense
}

/** Does what the command line asks for; the exit code is set when that is help, or nothing that there is. */
export async function runCommand(): Promise<void> {
  outliveItsReaders()
  const defaultState = process.env.STATE_DIRECTORY ?? join('/var/lib', 'keyscaler')
  const program = new Command('keyscaler')
    .description('Installs KeyScaler and runs its services.')
    .version(`${product.version} (${product.build})`)
    .showSuggestionAfterError()
    .configureOutput({ outputError: (text, write) => write(text) })
    .exitOverride()

  const asked = commands[process.argv[2] ?? '']
  for (const load of asked === undefined ? Object.values(commands) : [asked]) {
    const register = await load()
    register(program, defaultState)
  }
  try {
    await program.parseAsync()
  } catch (end) {
    if (!(end instanceof CommanderError)) throw end
    process.exitCode = end.exitCode === 0 ? 0 : 2
  }
}
