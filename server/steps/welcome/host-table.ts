/** This server against the guide's table 2 (one node: 8 cores, 32 GB, 1 TB), as information: only what cannot run at all blocks. */
import { findHsmClients, type HsmClient } from '../../../lib/luna-client/client-discovery.ts'
import { type HostSeen, observeHost } from '../../checks/host.ts'

export interface HostRow {
  /** The last part of the finding's id. */
  readonly id: string
  readonly what: string
  /** The guide's minimum. */
  readonly minimum: string
  readonly found: string
  /** `pass`: meets the minimum; `info`: does not, or is not known. */
  readonly verdict: 'pass' | 'info'
}

export interface HostAndClients {
  readonly host: HostSeen
  readonly clients: readonly HsmClient[]
}

export async function observeHostAndClients(stateDir: string): Promise<HostAndClients> {
  const [host, clients] = await Promise.all([observeHost(stateDir), findHsmClients()])
  return { host, clients }
}

/** For the table on the page. */
export async function hostTable(stateDir: string): Promise<readonly HostRow[]> {
  const seen = await observeHostAndClients(stateDir)
  return hostRowIds.map((id) => hostRow(id, seen))
}

export const hostRowIds = ['system', 'processor', 'cores', 'memory', 'disk', 'clock', 'hsm-client'] as const
type HostRowId = (typeof hostRowIds)[number]

export const hostTitles: Readonly<Record<HostRowId, string>> = {
  system: 'Operating system',
  processor: 'Processor',
  cores: 'Cores',
  memory: 'Memory',
  disk: 'Disk',
  clock: 'Clock',
  'hsm-client': 'HSM client'
}

export function hostRow(id: HostRowId, { host, clients }: HostAndClients): HostRow {
  const row = (minimum: string, found: string, meets: boolean): HostRow => {
    return { id, what: hostTitles[id], minimum, found, verdict: meets ? 'pass' : 'info' }
  }
  switch (id) {
    case 'system':
      return row('Debian 12, Ubuntu 22.04 or RHEL 8 family', host.system, isKnownSystem(host))
    case 'processor':
      return row('x86-64', host.machine, host.machine === 'x86_64')
    case 'cores':
      return row('8', String(host.cores), host.cores >= 8)
    case 'memory':
      // The kernel keeps some: a machine sold with 32 GB shows 31.
      return row('32 GB', `${Math.round(host.memory)} GB`, host.memory >= 30)
    case 'disk': {
      const { total, free } = host.disk
      return row('1 TB', `${Math.round(total)} GB, ${Math.round(free)} GB free`, total >= 950)
    }
    case 'clock':
      return row('synchronised', saysClock(host.clockSynchronised), host.clockSynchronised === true)
    case 'hsm-client':
      return row('Luna client or DPoD client', saysClients(clients, host), clients.length > 0)
  }
}

/** Where a current Node runs, and that we look at: EL7's glibc 2.17 is too old for it. */
function isKnownSystem({ distribution: { id, like, version } }: HostSeen): boolean {
  if (id === 'debian') return version >= 12
  if (id === 'ubuntu') return version >= 22.04
  return (id === 'rhel' || like.includes('rhel')) && version >= 8
}

/** Why the services cannot run here at all; null: nothing speaks against it. A system that nobody knows is none of these. */
export function unsupported(id: HostRowId, { system, distribution, machine }: HostSeen): string | null {
  const { like, version } = distribution
  const isRhel = distribution.id === 'rhel' || distribution.id === 'centos' || like.includes('rhel')
  // Without a version it is one that rolls on.
  if (id === 'system' && isRhel && version > 0 && version < 8) {
    return `${system} is too old: its glibc 2.17 cannot run a current Node.`
  }
  if (id === 'processor' && machine !== 'x86_64') return `${machine} is not x86-64.`
  return null
}

function saysClock(synchronised: boolean | null): string {
  if (synchronised === null) return 'not to be found out here'
  return synchronised ? 'synchronised' : 'not synchronised'
}

function saysClients(clients: readonly HsmClient[], { hsmUser }: HostSeen): string {
  if (clients.length === 0) return 'none found'
  const found = clients.map(({ module }) => module).join(', ')
  return hsmUser === false ? `${found}; this user is not in the group hsmusers` : found
}
