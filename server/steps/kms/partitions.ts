/**
 * What stands around the fields of step 3: the HSM clients of this machine, the partitions that the chosen one sees, and
 * the failed logins known here. One look without any login, in a child; kept for a while, so that the page is there at
 * once.
 */
import { messageOf } from '../../../lib/errors/app-error.ts'
import { guardedName } from '../../../lib/keystore/guarded-login.ts'
import { type HaGroup, haGroupOf } from '../../../lib/keystore/ha-groups.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { probeToken } from '../../../lib/keystore/probe.ts'
import { flagNames, type SlotFacts } from '../../../lib/keystore/token-facts.ts'
import { findHsmClients, type HsmClient } from '../../../lib/luna-client/client-discovery.ts'
import { inspectClient } from '../../../lib/luna-client/inspect-client.ts'
import { readHsmProposal } from '../../../lib/luna-client/proposal.ts'
import { type Remark, remarksOn } from '../../checks/hsm-client.ts'

export interface FoundPartition {
  readonly slot: number
  readonly label: string
  readonly serial: string
  readonly model: string
  readonly firmware: string
  /** Names of its flags, as `par showinfo` has them: "LOGIN_REQUIRED". */
  readonly flags: readonly string[]
  readonly state: string
}

export interface PartitionsSeen {
  /** All that are on this machine. */
  readonly clients: readonly HsmClient[]
  /** The one whose partitions these are; null: a library was typed that belongs to none. */
  readonly client: HsmClient | null
  /** Path of the library that was asked; null where there is none to ask. */
  readonly module: string | null
  /** What the library says it is; null before it was loaded. */
  readonly library: { readonly description: string; readonly version: string } | null
  /** About the client's configuration, certificates, `vtl verify` and hsmusers. */
  readonly remarks: readonly Remark[]
  readonly partitions: readonly FoundPartition[]
  /** Why none are listed. */
  readonly partitionsProblem?: string
  /** Of the first partition, or of the one whose label was typed. */
  readonly failedLogins?: { readonly label: string; readonly known: number; readonly atMost: number }
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
  const look = again || old ? { at: Date.now(), seen: lookNow(stateDir, typed) } : last
  looks.set(key, look)
  const seen = await withPatience(look.seen, again ? undefined : last?.seen, again ? 60_000 : firstLookMs)
  const chosen = seen.partitions.find(({ label }) => label === typed.partition) ?? seen.partitions[0]
  if (chosen === undefined) return seen
  return {
    ...seen,
    failedLogins: {
      label: chosen.label,
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

async function lookNow(
  stateDir: string,
  typed: { readonly library: string; readonly confPath: string }
): Promise<PartitionsSeen> {
  const clients = await clientsHere(stateDir)
  const client = (typed.library === '' ? clients[0] : clients.find(({ module }) => module === typed.library)) ?? null
  const module = typed.library === '' ? (client?.module ?? null) : typed.library
  const none = { clients, client, module, library: null, remarks: [], partitions: [] }
  if (module === null) {
    const places = '/usr/safenet/lunaclient, /opt/dpod, Chrystoki.conf'
    return { ...none, partitionsProblem: `No HSM client was found on this machine (${places}).` }
  }
  const confPath = typed.confPath === '' ? (client?.confPath ?? undefined) : typed.confPath
  const config: KeyStoreConfig = { profile: 'gemalto-safenet', module, confPath, slot: 0, partition: '' }
  try {
    const [facts, remarks] = await Promise.all([probeToken(config), remarksSoon(client)])
    const { library } = facts
    if (facts.file.problem !== null || facts.stopped !== null) {
      const problem = `The library ${module} could not list partitions; Test tells why.`
      return { ...none, library, remarks, partitionsProblem: problem }
    }
    return { ...none, library, remarks, partitions: facts.slots.map((token) => partitionOf(token, facts.haGroups)) }
  } catch (thrown) {
    return { ...none, partitionsProblem: messageOf(thrown) }
  }
}

/** `vtl verify` takes up to 30 s when an appliance is silent: partitions are not kept waiting for it. */
async function remarksSoon(client: HsmClient | null): Promise<readonly Remark[]> {
  if (client === null) return []
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<readonly Remark[]>((resolve) => {
    timer = setTimeout(() => resolve([{ verdict: 'info', say: 'vtl verify is still answering; press Rescan.' }]), 3000)
  })
  return Promise.race([inspectClient(client).then(remarksOn), late]).finally(() => clearTimeout(timer))
}

/** The usual places, and what `keyscaler hsm import` unpacked into a folder that was chosen. */
async function clientsHere(stateDir: string): Promise<readonly HsmClient[]> {
  const [found, imported] = await Promise.all([findHsmClients(), readHsmProposal(stateDir)])
  if (imported === null || found.some(({ module }) => module === imported.library)) return found
  return [...found, { kind: 'dpod', module: imported.library, confPath: imported.confPath }]
}

function partitionOf(token: SlotFacts, groups: readonly HaGroup[]): FoundPartition {
  const { slot, label, serial, model, firmware, flags } = token
  const group = haGroupOf(token, groups)
  const state = group === null ? stateOf(flags) : `${stateOf(flags)}; virtual slot of an HA group`
  return { slot, label, serial, model, firmware, flags: flagNames(flags), state }
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
    clients: [],
    client: null,
    module: null,
    library: null,
    remarks: [],
    partitions: [],
    partitionsProblem: 'The HSM client is still answering; press Rescan.'
  }
  const late = new Promise<PartitionsSeen>((resolve) => {
    timer = setTimeout(() => resolve(waiting), ms)
  })
  return Promise.race([look, late]).finally(() => clearTimeout(timer))
}
