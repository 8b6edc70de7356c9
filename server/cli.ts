#!/usr/bin/env -S node --min-semi-space-size=8 --v8-pool-size=0
/**
 * The command: `keyscaler <what>`; `keyscaler --help` lists all. Data on stdout, messages on stderr. Starts with a young
 * generation of 8 MB that holds its modules, in place of one that grows, and with as many helping threads as there are
 * cores for (0 says so; else it is four); docs/performance.md.
 */
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { Command } from 'commander'
import { compiledCode } from '../lib/keystore/compiled-code.ts'
import { product } from './web/product.ts'

// Half of the time to start is the stripping of types: what was compiled once is kept, as it is for the services.
const { NODE_COMPILE_CACHE: compiled } = compiledCode()
if (compiled !== undefined) enableCompileCache(compiled)

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

const defaultState = process.env.STATE_DIRECTORY ?? join('/var/lib', 'keyscaler')

const program = new Command('keyscaler')
  .description('Installs KeyScaler and runs its services.')
  .version(`${product.version} (${product.build})`)
  .showSuggestionAfterError()
  .configureOutput({ outputError: (text, write) => write(text) })
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : 2))

const asked = commands[process.argv[2] ?? '']
for (const load of asked === undefined ? Object.values(commands) : [asked]) {
  const register = await load()
  register(program, defaultState)
}
await program.parseAsync()
