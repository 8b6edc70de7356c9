/** The machine itself against the guide's tables 2 and 4: only what cannot work at all fails. */

import { defineLadder } from '../../checks/check.ts'
import { type HostSeen, observeHost } from '../../checks/host.ts'
import type { Outcome, Rung } from '../../checks/ladder-judge.ts'
import { hostRow, unsupported } from '../../steps/welcome/host-table.ts'

/** GB: schema, logs and four services do not fit into less. */
const leastDisk = 2
const fewDisk = 20
/** GiB: the smallest machine of the guide's table 4. */
const fewMemory = 3.5

const guide = 'Guide: table 2'

/** What the Welcome page says of the same fact. */
const row = (id: Parameters<typeof hostRow>[0], host: HostSeen) => hostRow(id, { host, clients: [] })
const meets = (id: Parameters<typeof hostRow>[0]) => (host: HostSeen) => row(id, host).verdict === 'pass'
const found = (id: Parameters<typeof hostRow>[0]) => (host: HostSeen) => `${row(id, host).found}.`
const below = (id: Parameters<typeof hostRow>[0]) => (host: HostSeen) =>
  `${row(id, host).found}; the guide's minimum: ${row(id, host).minimum}.`

function refusal(id: Parameters<typeof hostRow>[0]): Outcome<HostSeen> {
  return {
    verdict: 'fail',
    when: (host) => unsupported(id, host) !== null,
    say: (host) => unsupported(id, host) ?? '',
    fix: 'Use Debian 12, Ubuntu 22.04 or the RHEL family from 8 on, on x86-64.'
  }
}

const rungs: readonly Rung<HostSeen>[] = [
  {
    id: 'preflight.system',
    title: 'Operating system',
    outcomes: [
      refusal('system'),
      { verdict: 'pass', when: meets('system'), say: found('system') },
      {
        verdict: 'warn',
        say: ({ system }) => `${system} is none of the systems that KeyScaler is looked at on.`,
        fix: 'Use Debian 12, Ubuntu 22.04 or the RHEL family from 8 on, or try it out first.'
      }
    ]
  },
  {
    id: 'preflight.processor',
    title: 'Processor',
    outcomes: [refusal('processor'), { verdict: 'pass', say: found('processor') }]
  },
  {
    id: 'preflight.cores',
    title: 'Cores',
    outcomes: [
      { verdict: 'pass', when: meets('cores'), say: found('cores') },
      { verdict: 'info', say: below('cores'), guide }
    ]
  },
  {
    id: 'preflight.memory',
    title: 'Memory',
    outcomes: [
      { verdict: 'pass', when: meets('memory'), say: found('memory') },
      {
        verdict: 'warn',
        when: ({ memory }) => memory < fewMemory,
        say: below('memory'),
        fix: 'Give the machine 4 GB at least, 32 GB for what the guide sizes.',
        guide
      },
      { verdict: 'info', say: below('memory'), guide }
    ]
  },
  {
    id: 'preflight.disk',
    title: 'Disk of the state folder',
    outcomes: [
      {
        verdict: 'fail',
        when: ({ disk }) => disk.free < leastDisk,
        say: found('disk'),
        fix: `Make ${leastDisk} GB free, or choose another --state folder.`,
        guide
      },
      {
        verdict: 'warn',
        when: ({ disk }) => disk.free < fewDisk,
        say: below('disk'),
        fix: `Make ${fewDisk} GB free, or choose another --state folder.`,
        guide
      },
      { verdict: 'pass', when: meets('disk'), say: found('disk') },
      { verdict: 'info', say: below('disk'), guide }
    ]
  },
  {
    id: 'preflight.clock',
    title: 'Clock',
    outcomes: [
      { verdict: 'pass', when: ({ clockSynchronised }) => clockSynchronised === true, say: found('clock') },
      {
        verdict: 'warn',
        when: ({ clockSynchronised }) => clockSynchronised === false,
        say: 'The clock is not synchronised: certificates of devices could be refused.',
        fix: 'Run `keyscaler prerequisites`: it says how to synchronise it.'
      },
      {
        verdict: 'info',
        say: 'Nobody here can say whether the clock is synchronised (a container has the clock of its host).'
      }
    ]
  }
]

export const hostRungs = rungs.map((rung) => ({ ...rung, independent: true }))

export const hostLadder = defineLadder<string, HostSeen>({
  id: 'preflight.host',
  title: 'This machine',
  deadlineMs: 5000,
  fix: 'Look at the disk and the state folder of this machine.',
  observe: (stateDir) => observeHost(stateDir),
  rungs: hostRungs
})
