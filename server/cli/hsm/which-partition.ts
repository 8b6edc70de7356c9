/** Which client and which partition a command means: what was typed, else what this install has, else what is found. */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { probeToken } from '../../../lib/keystore/probe.ts'
import type { ProbeFacts } from '../../../lib/keystore/probe-messages.ts'
import type { SlotFacts } from '../../../lib/keystore/token-facts.ts'
import { findHsmClients, type HsmClient } from '../../../lib/luna-client/client-discovery.ts'
import { readHsmProposal } from '../../../lib/luna-client/proposal.ts'
import { keyStoreFromRecord, readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { stoppedWords } from '../../checks/key-store/seen-key-store.ts'

export interface ClientFlags {
  readonly state: string
  readonly library?: string
  readonly confPath?: string
}

export interface PartitionFlags extends ClientFlags {
  readonly slot?: number
  readonly partition?: string
  readonly serial?: string
}

type Luna = Extract<KeyStoreConfig, { profile: 'gemalto-safenet' }>

export function withClient(command: Command, defaultState: string): Command {
  return command
    .option('--state <folder>', 'state folder of the install', defaultState)
    .option('--library <file>', 'PKCS#11 library (without it: of this install, or the client that is found)')
    .option('--conf-path <folder>', 'folder of its Chrystoki.conf')
}

export function withPartition(command: Command, defaultState: string): Command {
  return withSlot(withClient(command, defaultState))
    .option('--partition <label>', 'the partition with this label')
    .option('--serial <number>', 'the partition with this serial number')
}

export function withSlot(command: Command): Command {
  return command.option('--slot <number>', 'the partition in this slot', slotFrom)
}

export function withOutput(command: Command): Command {
  return command.option('--output <form>', 'text or json', outputFrom, 'text')
}

/** Clients in the order in which they are meant: the one that was typed only, else this install's first. */
export async function clientsMeant(flags: ClientFlags): Promise<readonly HsmClient[]> {
  const found = await findHsmClients()
  const { library, confPath } = flags
  if (library !== undefined) {
    const known = found.find(({ module }) => module === resolve(library))
    const folder = confPath === undefined ? (known?.confPath ?? null) : resolve(confPath)
    return [{ kind: known?.kind ?? 'configured', module: resolve(library), confPath: folder }]
  }
  const own = await ownClient(resolve(flags.state))
  const all = own === null ? found : [own, ...found.filter(({ module }) => module !== own.module)]
  if (all.length > 0) return all
  const record = await readKeyStoreRecord(resolve(flags.state))
  if (record?.profile === 'nss') {
    throw new AppError(
      'check-failed',
      `The keys of this install are in a software key store (${record.folder}): it has no partitions.`,
      {
        cure: '`keyscaler hsm check` looks at it. To look at an HSM client, give --library.'
      }
    )
  }
  throw new AppError('check-failed', 'No HSM client was found on this machine.', {
    cure: 'Run `keyscaler hsm import <zip>` for Data Protection on Demand, install the Luna client, or give --library.'
  })
}

/**
 * The key store that is meant, and what its library shows now. Lists partitions; no login.
 * @throws AppError invalid-input when several partitions could be meant, check-failed when none is there
 */
export async function partitionMeant(
  flags: PartitionFlags
): Promise<{ config: Luna; seen: ProbeFacts; token: SlotFacts }> {
  const typed = flags.slot !== undefined || flags.partition !== undefined || flags.serial !== undefined
  const kept = typed || flags.library !== undefined ? null : await keptPartition(resolve(flags.state))
  const [client] = await clientsMeant(flags)
  if (client === undefined) throw new AppError('internal', 'no client')
  const base = configOf(client)
  const seen = await listPartitions(base)
  const want = typed ? flags : (kept ?? {})
  const matches = seen.slots.filter(
    ({ slot, label, serial, flags: { tokenInitialized } }) =>
      (want.serial ?? serial) === serial &&
      (want.serial !== undefined || (want.partition ?? label) === label) &&
      (want.serial !== undefined || (want.slot ?? slot) === slot) &&
      (typed || tokenInitialized)
  )
  const [token, other] = matches
  const listed = [
    ...seen.slots.map(({ slot, label, flags: { tokenInitialized } }) =>
      tokenInitialized ? `slot ${slot} "${label}"` : `slot ${slot}, not initialised`
    ),
    ...seen.unusableSlots.map(({ slot }) => `slot ${slot} without a token`)
  ].join(', ')
  if (token === undefined) {
    throw new AppError('check-failed', 'The partition was not found.', {
      cure: `Found: ${listed || 'none'}. \`keyscaler hsm check --no-login\` says what is wrong with one, and the next command.`
    })
  }
  if (other !== undefined) {
    throw new AppError('invalid-input', 'Several partitions could be meant.', {
      cure: `Give --slot or --serial. Found: ${listed}.`
    })
  }
  return { config: { ...base, slot: token.slot, partition: token.label, serial: token.serial }, seen, token }
}

export function configOf({ module, confPath }: HsmClient): Luna {
  return { profile: 'gemalto-safenet', module, confPath: confPath ?? undefined, slot: 0, partition: '' }
}

/** @throws AppError check-failed when the library cannot be used */
export async function listPartitions(config: Luna): Promise<ProbeFacts> {
  const seen = await probeToken(config)
  const { file, stopped } = seen
  if (file.problem === null && stopped === null) return seen
  const facts = { ...seen, knownFailures: 0 }
  const asked = { config, facts, step: null, pinGiven: false, record: null, runAs: null }
  const why = stopped === null ? `: ${file.problem}.` : `. ${stoppedWords(asked)}`
  throw new AppError('check-failed', `${config.module} could not list partitions${why}`, {
    cure: 'Run `keyscaler hsm check --no-login`: it says what is wrong, and the next command.'
  })
}

async function ownClient(stateDir: string): Promise<HsmClient | null> {
  const record = await readKeyStoreRecord(stateDir)
  if (record?.profile === 'gemalto-safenet' && record.module !== null) {
    return { kind: 'configured', module: record.module, confPath: record.confPath }
  }
  const proposal = await readHsmProposal(stateDir)
  return proposal === null ? null : { kind: 'dpod', module: proposal.library, confPath: proposal.confPath }
}

async function keptPartition(stateDir: string): Promise<Pick<PartitionFlags, 'slot' | 'partition' | 'serial'> | null> {
  const record = await readKeyStoreRecord(stateDir)
  if (record?.profile === 'gemalto-safenet') {
    const config = keyStoreFromRecord(record)
    return config.profile === 'nss' || config.serial === undefined ? null : { serial: config.serial }
  }
  const { serial } = (await readHsmProposal(stateDir)) ?? {}
  return serial === undefined ? null : { serial }
}

function slotFrom(typed: string): number {
  if (/^\d{1,10}$/.test(typed) && Number(typed) <= 0xffff_ffff) return Number(typed)
  throw new InvalidArgumentError('A slot is a whole number from 0 to 4294967295.')
}

function outputFrom(typed: string): string {
  if (typed === 'text' || typed === 'json') return typed
  throw new InvalidArgumentError('Choose text or json.')
}
