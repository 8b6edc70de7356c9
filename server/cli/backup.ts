/** `keyscaler backup` and `keyscaler restore`: an install in one encrypted file, and back. */
import { rmdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { refuseWeakPassphrase, writeBackup } from '../install/backup.ts'
import { hasInstall } from '../install/boot-file.ts'
import { openInstall } from '../install/install.ts'
import { restoreInstall, restoreTasks } from '../install/restore.ts'
import { takeStateLock } from '../install/state-lock.ts'
import { steps } from '../install/steps.ts'
import { root } from '../web/product.ts'
import { ending, say, sayWarnings } from './console.ts'
import { readPassword } from './password-input.ts'
import { toldBy, workTeller } from './tell-work.ts'

interface Flags {
  readonly state: string
  readonly to: string
  readonly from: string
  readonly passphraseFile?: string
  readonly output: 'text' | 'json'
}

const withFlags = (command: Command, defaultState: string) =>
  command
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--passphrase-file <file>', 'the passphrase is its first line (0600); absent: asked for, or piped in')
    .addOption(command.createOption('--output <format>', 'how').choices(['text', 'json']).default('text'))

export function registerBackup(program: Command, defaultState: string): void {
  withFlags(program.command('backup'), defaultState)
    .description('Writes configuration and database into one encrypted file; services may run meanwhile.')
    .requiredOption('--to <file>', 'the backup; must not be there yet')
    .action((flags: Flags) => ending(() => backup(flags)))
}

export function registerRestore(program: Command, defaultState: string): void {
  withFlags(program.command('restore'), defaultState)
    .description('Puts an install back from a backup, with the key store that it had, and starts its services once.')
    .requiredOption('--from <file>', 'the backup')
    .action((flags: Flags) => ending(() => restore(flags)))
}

async function backup({ state, to, passphraseFile, output }: Flags): Promise<void> {
  const stateDir = resolve(state)
  if (!(await hasInstall(stateDir))) {
    throw new AppError('not-found', `There is no install in ${stateDir}.`, { cure: 'Name its state folder: --state.' })
  }
  const passphrase = await newPassphrase(passphraseFile)
  const install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
  try {
    const result = await writeBackup(install, resolve(to), passphrase)
    if (output === 'json') process.stdout.write(`${JSON.stringify(result)}\n`)
    const { file, bytes, files, rows, keysIncluded } = result
    say(`${file}: ${bytes} bytes, ${files} files, ${rows} rows.`)
    say(
      keysIncluded
        ? 'The software key store is in it. Without the passphrase nothing of it can be had back.'
        : 'The keys stay in the token: back up its partition, too. Without the passphrase nothing can be had back.'
    )
  } finally {
    await install.close()
  }
}

/** Typed twice on a terminal: a slip would be found out on the day when it is needed. */
async function newPassphrase(file: string | undefined): Promise<string> {
  const option = '--passphrase-file'
  const passphrase = await readPassword({ file, prompt: 'Passphrase of the backup', option })
  refuseWeakPassphrase(passphrase)
  if (file !== undefined || !process.stdin.isTTY) return passphrase
  if ((await readPassword({ prompt: 'The same again', option })) === passphrase) return passphrase
  throw new AppError('invalid-input', 'The two passphrases differ; nothing was written.')
}

/** @param services that were deployed when the backup was made: setup may not have come so far */
function provedText(services: readonly string[]): string {
  return services.length === 0
    ? 'It had no services yet: none was started, and no key store opened. To go on with setup: keyscaler serve'
    : `All its services (${services.join(', ')}) were started and ready. To run them: keyscaler serve`
}

async function restore({ state, from, passphraseFile, output }: Flags): Promise<void> {
  const began = performance.now()
  const stateDir = resolve(state)
  const option = '--passphrase-file'
  const passphrase = await readPassword({ file: passphraseFile, prompt: 'Passphrase of the backup', option })
  const unlock = await takeStateLock(stateDir)
  try {
    const target = processTarget({ stateDir, root })
    const teller = workTeller(output, restoreTasks, 'Ctrl-C ends it; run again, it begins anew.')
    sayWarnings(teller.say)
    const { begin: begins, phase: report } = teller
    const result = await toldBy(teller, () =>
      restoreInstall({ stateDir, file: resolve(from), passphrase, steps, target, begins, report })
    )
    const ms = Math.round(performance.now() - began)
    if (output === 'json') process.stdout.write(`${JSON.stringify({ ...result, ms })}\n`)
    say(
      `Install ${result.install} is back as of ${result.at}: ${result.files} files, ${result.rows} rows, in ${ms} ms.`
    )
    if (result.remarks.length === 0) return say(provedText(result.services.map(({ name }) => name)))
    throw new AppError('deploy-failed', `All is back, but not all could be proved:\n${result.remarks.join('\n')}`, {
      cure: 'Mend the cause, then run keyscaler serve.'
    })
  } finally {
    unlock()
    // Of a restore that was refused: the folder that held its lock.
    await rmdir(stateDir).catch(() => {})
  }
}
