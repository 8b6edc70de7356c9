/** `keyscaler support-bundle`: what somebody who helps needs to see, with a look at it before it is given away. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Command } from 'commander'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { processTarget } from '../deploy/targets/process.ts'
import { hasInstall } from '../install/boot-file.ts'
import { type Install, openInstall } from '../install/install.ts'
import { steps } from '../install/steps.ts'
import { type BundleEntry, supportBundle } from '../install/support-bundle.ts'
import { tarOf } from '../install/tar.ts'
import { root } from '../web/product.ts'
import { ending, printable, say, usageError } from './console.ts'

interface Flags {
  readonly state: string
  readonly to?: string
  /** True: the list; a name: that file. */
  readonly preview?: string | true
}

export function registerSupport(program: Command, defaultState: string): void {
  program
    .command('support-bundle')
    .description('Writes what is needed to help into one file (.tar.gz), from an allow-list and without secrets.')
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--to <file>', 'the bundle; must not be there yet')
    .option('--preview [name]', 'write nothing: list what would be in it, or print one of its files as it would be')
    .action((flags: Flags) => ending(() => runSupport(flags)))
}

async function runSupport({ state, to, preview }: Flags): Promise<void> {
  if ((to === undefined) === (preview === undefined)) {
    throw usageError('Give one of --to and --preview.', {
      cure: 'keyscaler support-bundle --preview'
    })
  }
  const entries = await collected(resolve(state))
  if (preview === true) return void process.stdout.write(listOf(entries))
  if (preview !== undefined) return show(entries, preview)
  const path = resolve(to ?? '')
  await write(path, gzipSync(tarOf([{ name: 'CONTENTS.txt', text: listOf(entries) }, ...entries], new Date())))
  process.stdout.write(listOf(entries))
  say(`${path}: ${entries.length + 1} files. Look at it before you give it away: tar -tzf, or --preview <name>.`)
}

/** Of whatever there is: help is asked for when something is not. */
async function collected(stateDir: string): Promise<readonly BundleEntry[]> {
  let install: Install | null = null
  try {
    if (await hasInstall(stateDir)) {
      install = await openInstall({ stateDir, steps, target: processTarget({ stateDir, root }) })
    }
  } catch (thrown) {
    say(`The install cannot be opened: ${messageOf(thrown)}`)
  }
  try {
    return await supportBundle({ stateDir, install })
  } finally {
    await install?.close()
  }
}

function listOf(entries: readonly BundleEntry[]): string {
  const longest = Math.max(...entries.map(({ name }) => name.length))
  const lines = entries.map(
    ({ name, why, text }) => `${name.padEnd(longest)}  ${String(Buffer.byteLength(text)).padStart(8)}  ${why}`
  )
  return `${lines.join('\n')}\n`
}

function show(entries: readonly BundleEntry[], name: string): void {
  const entry = entries.find((candidate) => candidate.name === name)
  if (entry === undefined) {
    throw usageError(`There is no ${name} in the bundle.`, {
      cure: '--preview alone lists what is.'
    })
  }
  process.stdout.write(printable(entry.text))
}

async function write(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600).catch((cause) => {
    throw new AppError('invalid-input', `${path} cannot be written: ${messageOf(cause)}`, { cause })
  })
  await file.writeFile(bytes).finally(() => file.close())
}
