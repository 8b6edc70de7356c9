/** What the guide wants to be so before step 3, against what can be seen from this machine. */
import type { PartitionsSeen } from './partitions.ts'

export interface Prerequisite {
  readonly text: string
  readonly state: 'seen' | 'not visible from here' | 'missing'
  readonly command?: string
}

/** The guide's eight prerequisites. */
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
