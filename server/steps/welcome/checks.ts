/** One row a fact of this server. */
import { defineLadder } from '../../checks/check.ts'
import { type HostAndClients, hostRow, hostRowIds, hostTitles, observeHostAndClients } from './host-table.ts'

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
        { verdict: 'pass', when: (seen) => hostRow(id, seen).verdict === 'pass', say: said, guide: 'Guide: table 2' },
        { verdict: 'info', say: said, guide: 'Guide: table 2' }
      ]
    }
  })
})
