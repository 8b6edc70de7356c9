#!/usr/bin/env node
/** The command: `keyscaler <what>`; `keyscaler --help` lists all. Data on stdout, messages on stderr. */
import { join } from 'node:path'
import { Command } from 'commander'
import { registerApply } from './cli/apply.ts'
import { registerConfig } from './cli/config.ts'
import { registerDestroy } from './cli/destroy.ts'
import { registerHsm } from './cli/hsm.ts'
import { registerKeys } from './cli/keys.ts'
import { registerLicense } from './cli/license.ts'
import { registerPlan } from './cli/plan.ts'
import { registerServe } from './cli/serve.ts'
import { registerToken } from './cli/token.ts'
import { registerUnlock } from './cli/unlock.ts'
import { product } from './web/product.ts'

const defaultState = process.env.STATE_DIRECTORY ?? join('/var/lib', 'keyscaler')

const program = new Command('keyscaler')
  .description('Installs KeyScaler and runs its services.')
  .version(`${product.version} (${product.build})`)
  .showSuggestionAfterError()
  .configureOutput({ outputError: (text, write) => write(text) })
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : 2))

registerServe(program, defaultState)
registerApply(program, defaultState)
registerPlan(program, defaultState)
registerConfig(program, defaultState)
registerDestroy(program, defaultState)
registerToken(program, defaultState)
registerUnlock(program, defaultState)
registerHsm(program, defaultState)
registerKeys(program, defaultState)
registerLicense(program, defaultState)
await program.parseAsync()
