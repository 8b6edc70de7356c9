/** One row a fact of this server. */
import { defineLadder } from '../../checks/check.ts'
import {
  type HostAndClients,
  hostRow,
  hostRowIds,
  hostTitles,
  observeHostAndClients,
  unsupported
} from './host-table.ts'

export const hostLadder = defineLadder<unknown, HostAndClients>({
  id: 'welcome.host',
  title: 'This server',
  deadlineMs: 5000,
  fix: 'Look at the disk and the state folder of this server.',
  observe: (_answers, around) => observeHostAndClients(around.stateDir),
  rungs: hostRowIds.map((id) => {
    const said = (seen: HostAndClients) => {
      const { found, minimum, verdict } = hostRow(id, seen)
      return verdict === 'pass' ? `${found}.` : `${found}; the guide's minimum: ${minimum}.`
    }
    return {
      id: `welcome.${id}`,
      title: hostTitles[id],
      independent: true,
      outcomes: [
        {
          verdict: 'fail',
          when: ({ host }) => unsupported(id, host) !== null,
          say: ({ host }) => unsupported(id, host) ?? '',
          fix: 'Use Debian 12, Ubuntu 22.04 or the RHEL family from 8 on, on x86-64.',
          guide: 'Guide: table 1'
        },
        { verdict: 'pass', when: (seen) => hostRow(id, seen).verdict === 'pass', say: said, guide: 'Guide: table 2' },
        { verdict: 'info', say: said, guide: 'Guide: table 2' }
      ]
    }
  })
})
