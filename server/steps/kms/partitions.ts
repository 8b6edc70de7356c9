/**
 * What stands around the fields of step 3: the partitions that the HSM client sees, the guide's prerequisites as seen or
 * not, and the failed logins known here. One look without any login, in a child; kept for a while, so that the page is
 * there at once.
 */
import { messageOf } from '../../../lib/errors/app-error.ts'
import { guardedName } from '../../../lib/keystore/guarded-login.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { probeToken } from '../../../lib/keystore/probe.ts'
import type { SlotFacts } from '../../../lib/keystore/token-facts.ts'
import { findHsmClients, type HsmClient } from '../../../lib/luna-client/client-discovery.ts'

export interface FoundPartition {
  readonly slot: number
  readonly label: string
  readonly serial: string
  readonly model: string
  readonly firmware: string
  readonly state: string
}

export interface PartitionsSeen {
  readonly client: HsmClient | null
  readonly partitions: readonly FoundPartition[]
  /** Why none are listed. */
  readonly partitionsProblem?: string
  /** Of the first partition, or of the one whose label was typed. */
  readonly failedLogins?: { readonly known: number; readonly atMost: number }
}

export interface Prerequisite {
  readonly text: string
  readonly state: 'seen' | 'not visible from here' | 'missing'
  readonly command?: string
}

const keptForMs = 15_000
const firstLookMs = 1500
const looks = new Map<string, { readonly at: number; readonly seen: Promise<PartitionsSeen> }>()

/**
 * @param typed library and folder of Chrystoki.conf as they stand in the form ('' = the client found on this machine)
 * @param again look now and wait for it; otherwise the last look is answered, and a new one begun when it is old
 */
export async function lookAtPartitions(
  stateDir: string,
  typed: { readonly library: string; readonly confPath: string; readonly partition: string },
  again: boolean
): Promise<PartitionsSeen> {
  const key = `${typed.library}\n${typed.confPath}`
  const last = looks.get(key)
  const old = last === undefined || Date.now() - last.at > keptForMs
  const look = again || old ? { at: Date.now(), seen: lookNow(typed) } : last
  looks.set(key, look)
  const seen = await withPatience(look.seen, again ? undefined : last?.seen, again ? 60_000 : firstLookMs)
  const chosen = seen.partitions.find(({ label }) => label === typed.partition) ?? seen.partitions[0]
  if (chosen === undefined) return seen
  return {
    ...seen,
    failedLogins: {
      known: openPinGuard(stateDir).known(
        guardedName(
          { profile: 'gemalto-safenet', module: '', slot: chosen.slot, partition: chosen.label },
          chosen.serial
        )
      ).failures,
      atMost: 10
    }
  }
}

/** The guide's eight prerequisites, with what this machine can tell about each. */
export function prerequisites({ client, partitions }: PartitionsSeen): readonly Prerequisite[] {
  const listed = partitions.length > 0
  const elsewhere = 'not visible from here'
  const seenIf = (yes: boolean): Prerequisite['state'] => (yes ? 'seen' : client === null ? elsewhere : 'missing')
  return [
    { text: 'The appliance is racked, and its admin password was changed', state: elsewhere },
    { text: 'The appliance has a host name', state: elsewhere, command: 'hostname' },
    { text: 'The network settings of the appliance are made', state: elsewhere, command: 'network show' },
    { text: 'The HSM is initialised', state: listed ? 'seen' : elsewhere, command: 'hsm show' },
    { text: 'Client and appliance have exchanged certificates', state: seenIf(listed), command: 'vtl listservers' },
    { text: 'The client is registered and its partition is assigned', state: seenIf(listed), command: 'vtl verify' },
    {
      text: 'The partition is initialised, with a Crypto Officer',
      state: seenIf(partitions.some(({ state }) => state.startsWith('ready'))),
      command: 'par init -label HSMoDnFIPS'
    },
    {
      text: 'PED partitions only: activation and auto-activation are on (partition policies 22 and 23)',
      state: elsewhere,
      command: 'partition showpolicies'
    }
  ]
}

async function lookNow(typed: { readonly library: string; readonly confPath: string }): Promise<PartitionsSeen> {
  const clients = await findHsmClients()
  const client = clients.find(({ module }) => typed.library === '' || module === typed.library) ?? null
  const module = typed.library === '' ? client?.module : typed.library
  if (module === undefined) {
    return {
      client: null,
      partitions: [],
      partitionsProblem: 'No HSM client was found on this machine (/usr/safenet/lunaclient, /opt/dpod, Chrystoki.conf).'
    }
  }
  const confPath = typed.confPath === '' ? (client?.confPath ?? undefined) : typed.confPath
  const config: KeyStoreConfig = { profile: 'gemalto-safenet', module, confPath, slot: 0, partition: '' }
  try {
    const facts = await probeToken(config)
    const problem = facts.file?.problem ?? facts.stopped
    if (problem !== null && problem !== undefined) {
      return {
        client,
        partitions: [],
        partitionsProblem: `The library ${module} could not list partitions; Test tells why.`
      }
    }
    return { client, partitions: facts.slots.map(partitionOf) }
  } catch (thrown) {
    return { client, partitions: [], partitionsProblem: messageOf(thrown) }
  }
}

function partitionOf({ slot, label, serial, model, firmware, flags }: SlotFacts): FoundPartition {
  return { slot, label, serial, model, firmware, state: stateOf(flags) }
}

function stateOf(flags: SlotFacts['flags']): string {
  if (!flags.tokenInitialized) return 'not initialized'
  if (!flags.userPinInitialized) return 'no Crypto Officer yet'
  if (flags.userPinLocked) return 'Crypto Officer locked'
  if (flags.userPinFinalTry) return 'one try left before it locks'
  return flags.userPinCountLow ? 'ready; a wrong password was entered' : 'ready'
}

/** The new look when it is quick; else the last one, or none yet. */
async function withPatience(
  look: Promise<PartitionsSeen>,
  last: Promise<PartitionsSeen> | undefined,
  ms: number
): Promise<PartitionsSeen> {
  if (last !== undefined) return last
  let timer: NodeJS.Timeout | undefined
  const waiting: PartitionsSeen = {
    client: null,
    partitions: [],
    partitionsProblem: 'The HSM client is still answering; press Rescan.'
  }
  const late = new Promise<PartitionsSeen>((resolve) => {
    timer = setTimeout(() => resolve(waiting), ms)
  })
  return Promise.race([look, late]).finally(() => clearTimeout(timer))
}
