/** What is to be said about a client of an HSM, judged from what inspectClient saw: configuration, certificates, vtl, hsmusers. */

import type { CertificateFact, CertificateProblem } from '../../lib/luna-client/client-certificates.ts'
import type { ClientConfiguration } from '../../lib/luna-client/client-configuration.ts'
import type { HsmClient } from '../../lib/luna-client/client-discovery.ts'
import type { HsmUserState } from '../../lib/luna-client/hsm-users.ts'
import type { ClientInspection } from '../../lib/luna-client/inspect-client.ts'
import type { VtlFacts } from '../../lib/luna-client/vtl-verify.ts'

export interface Remark {
  readonly verdict: 'pass' | 'info' | 'warn' | 'fail'
  readonly say: string
  readonly cure?: string
}

export function clientTitle({ module, confPath }: HsmClient): string {
  return `${module} (Chrystoki.conf in ${confPath ?? '/etc'})`
}

/** In the order in which an administrator would look. */
export function remarksOn(seen: ClientInspection): readonly Remark[] {
  return [...configurationRemarks(seen), ...vtlRemarks(seen.vtl), ...hsmUserRemarks(seen.hsmUser)]
}

export function configurationRemarks({
  client,
  configuration,
  unreadable,
  certificates,
  hsmUser
}: ClientInspection): readonly Remark[] {
  const conf = `${client.confPath ?? '/etc'}/Chrystoki.conf`
  const readable: readonly Remark[] = unreadable
    ? [{ verdict: 'fail', say: `${conf} cannot be read by this user.`, cure: readCure(hsmUser, conf) }]
    : configuration === null
      ? [{ verdict: 'warn', say: `There is no ${conf}.`, cure: 'Give --conf-path <folder>.' }]
      : [{ verdict: 'pass', say: `${conf} is read.` }, ...waysOf(configuration)]
  return [...readable, ...certificates.map(certificateRemark)]
}

function waysOf({ appliances, cloud, haGroups, haOnly, secureTrustedChannel }: ClientConfiguration): readonly Remark[] {
  const say = (text: string): Remark => ({ verdict: 'info', say: text })
  return [
    ...appliances.map(({ name, port }) =>
      say(`Appliance ${name}, port ${port}${secureTrustedChannel ? ' (STC)' : ''}.`)
    ),
    ...(cloud === null ? [] : [say(`Data Protection on Demand at ${cloud.name}, port ${cloud.port}.`)]),
    ...haGroups.map(({ label, members }) =>
      say(`HA group "${label}" over ${members.length} partitions${haOnly ? ', shown alone (HAOnly)' : ''}.`)
    )
  ]
}

const certificateWords: Readonly<Record<CertificateProblem, readonly ['warn' | 'fail', string, string]>> = {
  'not-absolute': ['fail', 'is no absolute path', 'Run `keyscaler hsm import <folder>`: it puts the paths right.'],
  missing: ['fail', 'is not there', 'Run `keyscaler hsm import <folder>`, or exchange certificates again.'],
  unreadable: ['fail', 'cannot be read by this user', 'Let the user that runs KeyScaler read it.'],
  'not-a-certificate': ['fail', 'holds no certificate', 'Copy the certificate file again.'],
  'not-yet-valid': ['fail', 'is not valid yet', 'Check the clock of this server.'],
  expired: ['fail', 'has expired', 'Download the client again, or exchange certificates with the appliance again.'],
  'not-issued-by': ['fail', 'was not issued by the CA beside it', 'Take all certificates from one download.'],
  'expires-soon': ['warn', 'expires within 30 days', 'Renew it before that day.']
}

export function certificateRemark({ key, path, problem, subject, notAfter }: CertificateFact): Remark {
  const until = notAfter === null ? '' : ` until ${notAfter.slice(0, 10)}`
  if (problem === null) return { verdict: 'pass', say: `${key}: ${subject ?? path}, valid${until}.` }
  const [verdict, words, cure] = certificateWords[problem]
  return {
    verdict,
    say: `${key}: ${path} ${words}${problem === 'expired' ? ` (${notAfter?.slice(0, 10)})` : ''}.`,
    cure
  }
}

export function vtlRemarks({ state, partitions, words }: VtlFacts): readonly Remark[] {
  const cure = 'Register the client on the appliance and assign its partition, then run `vtl verify` again.'
  switch (state) {
    case 'absent':
      return []
    case 'partitions': {
      const list = partitions.map(({ slot, label, serial }) => `slot ${slot} "${label}" ${serial}`)
      return [{ verdict: 'pass', say: `vtl verify shows ${list.join('; ')}.` }]
    }
    case 'hung':
      return [
        { verdict: 'fail', say: 'vtl verify did not answer within 30 s.', cure: 'Check the way to the appliance.' }
      ]
    case 'none':
    case 'failed':
      return [{ verdict: 'fail', say: `vtl verify shows no partition: ${words.split('\n').at(-1) ?? ''}`.trim(), cure }]
  }
}

export function hsmUserRemarks(state: HsmUserState): readonly Remark[] {
  switch (state) {
    case 'no-group':
    case 'root':
      return []
    case 'member':
      return [{ verdict: 'pass', say: 'The user that runs KeyScaler is in the group hsmusers.' }]
    case 'not-in-effect':
      return [
        {
          verdict: 'fail',
          say: 'This user is in the group hsmusers, but this session began before that.',
          cure: 'Log in again, and start the wizard anew.'
        }
      ]
    case 'not-member':
      return [
        {
          verdict: 'warn',
          say: 'The user that runs KeyScaler is not in the group hsmusers.',
          cure: 'Run `usermod --append --groups hsmusers <user>`, then start the wizard anew.'
        }
      ]
  }
}

function readCure(state: HsmUserState, conf: string): string {
  return state === 'not-member'
    ? 'Run `usermod --append --groups hsmusers <user>`, then log in again.'
    : `Let the user that runs KeyScaler read ${conf}.`
}
