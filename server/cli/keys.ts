/** `keyscaler keys`: what keys there are, a new version of one, and the end of an old one. On the host, through the KMS's API. */

import { resolve } from 'node:path'
import { stdin } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { type Command, Option } from 'commander'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRotation, KmsClient, KmsKey } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import { updateMasterKey } from '../checks/key-store/key-store-record.ts'
import { wizardIdentity } from '../deploy/identity-files.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import { reachOf } from '../deploy/process/service-request.ts'
import { ending, printable, say, usageError } from './console.ts'
import { refuseWhileItIssues, registerSuccession } from './keys-succession.ts'
import { keysText } from './keys-text.ts'

interface Flags {
  readonly state: string
  readonly output?: 'text' | 'json'
}

export function registerKeys(program: Command, defaultState: string): void {
  const keys = program.command('keys').description('Keys of the install: list, rotate, succeed, destroy.')
  const command = (words: string, description: string) =>
    keys.command(words).description(description).option('--state <folder>', 'state folder of the install', defaultState)

  command('list', 'Prints every key of this install by label, version and state.')
    .addOption(new Option('--output <format>', 'text or json').choices(['text', 'json']).default('text'))
    .action((flags: Flags) => ending(() => withKms(flags, (kms) => list(kms, flags))))

  const rotating = 'Its data keys are wrapped anew; cut off, run it again: it goes on from where it stopped.'
  const rotate = keys.command('rotate').description(`Makes a new version of a key. ${rotating}`)
  const rotation = (words: string, what: string) =>
    rotate
      .command(words)
      .description(`Makes a new version of ${what}. ${rotating}`)
      .option('--state <folder>', 'state folder of the install', defaultState)
  rotation('master', 'the master key').action((flags: Flags) =>
    ending(() => withKms(flags, (kms) => rotateKey(kms, resolve(flags.state), 'master')))
  )
  rotation('tenant <name>', "a tenant's key").action((tenant: string, flags: Flags) =>
    ending(() => withKms(flags, (kms) => rotateKey(kms, resolve(flags.state), 'tenant', tenant)))
  )

  rotate
    .command('signing <tenant>')
    .description(
      "Makes a new version of a tenant's signing key. It signs from now on; what the old one has signed verifies on."
    )
    .option('--state <folder>', 'state folder of the install', defaultState)
    .action((tenant: string, flags: Flags) => ending(() => withKms(flags, (kms) => rotateSigning(kms, tenant))))

  registerSuccession(keys, defaultState)

  command('destroy <id>', 'Destroys a retired key for good. What a backup of the database still has under it is lost.')
    .option('--name <label>', 'label of the key; asked for when it is left out')
    .action((id: string, flags: Flags & { readonly name?: string }) =>
      ending(() => withKms(flags, (kms) => destroy(kms, id, flags)))
    )
}

/** @throws AppError not-found when no KMS is deployed from this state folder */
async function withKms(flags: Flags, work: (kms: KmsClient) => Promise<void>): Promise<void> {
  const stateDir = resolve(flags.state)
  const reach = reachOf(await readDeployedConfig(runFolder(stateDir, 'kms')))
  if (reach === null) {
    throw new AppError('not-found', `No KMS is deployed from ${stateDir}.`, {
      cure: 'Name the state folder of the install: --state <folder>.'
    })
  }
  const kms = openKmsClient({ address: reach.address, identity: wizardIdentity(stateDir) })
  try {
    await work(kms)
  } finally {
    await kms.close()
  }
}

async function list(kms: KmsClient, { output }: Flags): Promise<void> {
  const keys = await kms.listKeys()
  process.stdout.write(output === 'json' ? `${JSON.stringify({ keys }, null, 2)}\n` : printable(keysText(keys)))
}

async function rotateKey(
  kms: KmsClient,
  stateDir: string,
  purpose: KeyRotation['purpose'],
  tenant?: string
): Promise<void> {
  let rotation = await kms.beginRotation(purpose, tenant)
  const keys = await kms.listKeys()
  const named = (id: string) => keys.find((key) => key.id === id)
  say(`"${named(rotation.toKey)?.label}" (${rotation.toKey}) is active.`)
  while (rotation.state !== 'done') {
    rotation = await kms.continueRotation(rotation.id)
    say(`${rotation.rewrapped} of ${rotation.total} data keys are wrapped anew.`)
  }
  const next = named(rotation.toKey)
  if (purpose === 'master' && next !== undefined) {
    await updateMasterKey(stateDir, next.checkValue === null ? null : { id: next.id, checkValue: next.checkValue })
  }
  const old = named(rotation.fromKey)
  if (rotation.unreadable > 0) {
    say(`${rotation.unreadable} data keys do not open: their rows were changed. Restore them from a backup.`)
    process.exitCode = 4
  }
  say(`"${old?.label}" (${rotation.fromKey}) is retired: it is kept for backups of the database. To destroy it:`)
  say(`  keyscaler keys destroy ${rotation.fromKey}`)
}

/** There is nothing to wrap anew: the next version signs, the old one keeps its public key for what it has signed. */
async function rotateSigning(kms: KmsClient, tenant: string): Promise<void> {
  const isOurs = (key: KmsKey) => key.purpose === 'signing' && key.tenant === tenant && key.state === 'active'
  const old = (await kms.listKeys()).find(isOurs)
  if (old === undefined)
    throw new AppError('not-found', `${tenant} has no signing key.`, { cure: 'keyscaler keys list' })
  await kms.succeedSigningKey(old.id)
  const next = (await kms.listKeys()).find(isOurs)
  say(`"${next?.label}" (${next?.id}) is active.`)
  say(`"${old.label}" (${old.id}) is retired: it signs no more, and what it has signed verifies with its public key,`)
  say('which stays on record. To destroy it:')
  say(`  keyscaler keys destroy ${old.id}`)
}

async function destroy(
  kms: KmsClient,
  id: string,
  { state: stateDir, name: given }: Flags & { readonly name?: string }
): Promise<void> {
  const key = (await kms.listKeys()).find((one) => one.id === id)
  if (key === undefined) throw new AppError('not-found', `There is no key ${id}.`, { cure: 'keyscaler keys list' })
  // Retired is what the KMS knows; by which key the DAE issues stands in the DAE's tables.
  if (key.purpose === 'tenant-ca') await refuseWhileItIssues(resolve(stateDir), key)
  const label = given ?? (await askFor(key))
  const { state } = await kms.destroyKey(id, label)
  say(`"${key.label}" (${id}) is ${state}.`)
}

async function askFor({ label, purpose }: KmsKey): Promise<string> {
  if (!stdin.isTTY) {
    throw usageError('The key was not named.', { cure: `Name it: --name "${label}"` })
  }
  const question = createInterface({ input: stdin, output: process.stderr })
  const loss = purpose === 'signing' ? '' : ', and backups of the database from before its rotation open no more'
  try {
    return await question.question(`A destroyed key cannot be had back${loss}.\nType its label to go on: `)
  } finally {
    question.close()
  }
}
