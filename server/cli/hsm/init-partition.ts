import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../../lib/errors/app-error.ts'
import { pinProblem } from '../../../lib/keystore/profiles/profile.ts'
import { keyStoreProfiles } from '../../../lib/keystore/profiles/registry.ts'
import { initialiseSoftHsmToken } from '../../../lib/keystore/softhsm-token.ts'
import { lunacmSession } from '../../../lib/luna-client/lunacm-session.ts'
import { ending, printable, say, usageError } from '../console.ts'
import { readPassword } from '../password-input.ts'
import {
  type ClientFlags,
  clientsMeant,
  configOf,
  listPartitions,
  withClient,
  withOutput,
  withSlot
} from './which-partition.ts'

interface InitFlags extends ClientFlags {
  readonly slot?: number
  readonly label: string
  readonly output: string
  readonly softhsm: boolean
  readonly soPasswordFile?: string
  readonly passwordFile?: string
}

export function registerInitPartition(hsm: Command, defaultState: string): void {
  const command = hsm
    .command('init-partition')
    .description('Prints what to type in lunacm to make a partition ready (guide: DPoD, items 7 to 15).')
    .requiredOption('--label <name>', 'its name, as step 3 will take it')
    .option('--softhsm', 'make a blank token of SoftHSM ready here (never one of an HSM)', false)
    .option('--so-password-file <file>', 'with --softhsm: password of the security officer')
    .option('--password-file <file>', 'with --softhsm: password that step 3 will take')
  withOutput(withSlot(withClient(command, defaultState))).action((flags: InitFlags) =>
    ending(() => initPartition(flags))
  )
}

async function initPartition(flags: InitFlags): Promise<void> {
  const { label } = flags
  if (!/^[^?"\p{Cc}]{1,32}$/u.test(label)) {
    throw usageError('A partition name has 1 to 32 characters, no ? and no ".')
  }
  if (flags.softhsm) return await initialiseHere(flags)
  const commands = lunacmSession(flags.slot ?? (await onlySlot(flags)), label)
  if (flags.output === 'json') {
    process.stdout.write(`${JSON.stringify({ commands }, null, 2)}\n`)
    return
  }
  say('Type this in lunacm. It is not run here: the domain of a partition is fixed at its first initialisation.')
  for (const { item, command, why } of commands) {
    process.stdout.write(printable(`${command}\n`))
    say(`    item ${item}: ${why}`)
  }
  say('Then: keyscaler hsm check')
}

/** The one that is not initialised yet; else the only one. */
async function onlySlot(flags: InitFlags): Promise<number> {
  const [client] = await clientsMeant(flags)
  const slots = client === undefined ? [] : (await listPartitions(configOf(client))).slots
  const blank = slots.filter((slot) => !slot.flags.tokenInitialized)
  const [only, other] = blank.length > 0 ? blank : slots
  if (only !== undefined && other === undefined) return only.slot
  const listed = slots.map(({ slot, label }) => `slot ${slot} "${label}"`).join(', ')
  throw new AppError('invalid-input', 'Which partition is meant?', { cure: `Give --slot. Found: ${listed || 'none'}.` })
}

async function initialiseHere(flags: InitFlags): Promise<void> {
  const { library, confPath, slot, label, output, soPasswordFile, passwordFile } = flags
  if (library === undefined) throw usageError('Give --library, the path of libsofthsm2.so.')
  const soPin = await readPassword({
    prompt: 'New password of the security officer',
    file: soPasswordFile,
    option: '--so-password-file'
  })
  const pin = await readPassword({ prompt: `New password of ${label}`, file: passwordFile })
  for (const password of [soPin, pin]) {
    const problem = pinProblem(keyStoreProfiles['gemalto-safenet'], password)
    if (problem !== null) throw new AppError('invalid-input', problem)
  }
  const { SOFTHSM2_CONF: conf } = process.env
  const environment = {
    ...(conf === undefined ? {} : { SOFTHSM2_CONF: conf }),
    ...(confPath === undefined ? {} : { ChrystokiConfigurationPath: resolve(confPath) })
  }
  const order = { module: resolve(library), slot: slot ?? null, label, soPin, pin }
  const token = await initialiseSoftHsmToken(order, environment)
  if (output === 'json') process.stdout.write(`${JSON.stringify({ changed: true, ...token }, null, 2)}\n`)
  else say(`Initialised: slot ${token.slot}, "${token.label}", serial ${token.serial}.`)
}
