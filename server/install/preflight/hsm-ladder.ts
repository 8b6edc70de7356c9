/** The HSM client as far as it can be told without slot and password: found, configured, `vtl verify`, `hsmusers`. No login. */
import { findHsmClients } from '../../../lib/luna-client/client-discovery.ts'
import { type ClientInspection, inspectClient } from '../../../lib/luna-client/inspect-client.ts'
import { defineLadder } from '../../checks/check.ts'
import { clientTitle, configurationRemarks, hsmUserRemarks, type Remark, vtlRemarks } from '../../checks/hsm-client.ts'
import type { Outcome, Rung } from '../../checks/ladder-judge.ts'

type Seen = readonly ClientInspection[]

const order = ['pass', 'info', 'warn', 'fail'] as const

/** The worst of what is to be said speaks, with all that is as bad; where nothing is to be said, `nothing` is. */
function worstOf(remarks: (client: ClientInspection) => readonly Remark[], nothing: string): readonly Outcome<Seen>[] {
  const all = (seen: Seen) => seen.flatMap((client) => remarks(client))
  const outcome = (verdict: Remark['verdict']): Outcome<Seen> => {
    const these = (seen: Seen) => all(seen).filter((remark) => remark.verdict === verdict)
    const cures = (seen: Seen) => [...new Set(these(seen).flatMap(({ cure = [] }) => cure))].join(' ')
    return {
      verdict,
      when: (seen) => these(seen).length > 0,
      say: (seen) =>
        these(seen)
          .map(({ say }) => say)
          .join(' '),
      ...(verdict === 'warn' || verdict === 'fail' ? { fix: cures } : {})
    }
  }
  return [...order.toReversed().map(outcome), { verdict: 'skip', say: nothing }]
}

const rungs: readonly Rung<Seen>[] = [
  {
    id: 'preflight.hsm-client',
    title: 'HSM client',
    outcomes: [
      {
        verdict: 'info',
        when: (seen) => seen.length === 0,
        say: 'None was found: Gemalto SafeNet needs one, the software-only NSS key store does not.',
        fix: 'Install the Luna client, or run `keyscaler hsm import <zip>` with the client of Data Protection on Demand.',
        guide: 'Guide: DPoD, items 1 to 4'
      },
      { verdict: 'pass', say: (seen) => `${seen.map(({ client }) => clientTitle(client)).join('; ')}.` }
    ]
  },
  {
    id: 'preflight.hsm-configuration',
    title: 'Configuration of the HSM client',
    outcomes: worstOf(configurationRemarks, 'There is no HSM client.')
  },
  {
    id: 'preflight.vtl-verify',
    title: 'vtl verify',
    outcomes: worstOf(({ vtl }) => vtlRemarks(vtl), 'No HSM client here brings vtl (that of DPoD has none).')
  },
  {
    id: 'preflight.hsm-users',
    title: 'Group hsmusers',
    outcomes: worstOf(
      ({ hsmUser }) => hsmUserRemarks(hsmUser),
      'There is no such group, or this is root, who needs none.'
    )
  }
]

export const hsmRungs = rungs.map((rung) => ({ ...rung, independent: true }))

export const hsmLadder = defineLadder<string, Seen>({
  id: 'preflight.hsm',
  title: 'HSM client',
  deadlineMs: 45_000,
  fix: 'Run `vtl verify`, and look at the way to the appliance.',
  observe: async (_stateDir, around) => {
    const clients = await findHsmClients()
    around.progress('vtl verify')
    return Promise.all(clients.map((client) => inspectClient(client)))
  },
  rungs: hsmRungs
})
