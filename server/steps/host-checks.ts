/** The checks that the four deployment steps share: the address resolves, its port is free or ours, the certificate is good. */
import { networkInterfaces } from 'node:os'
import { catalog } from '../../services/catalog.ts'
import { type Check, defineCheck } from '../checks/check.ts'
import { type ServiceAddress, serviceAddress, typedAddress } from '../deploy/addresses.ts'
import { certificateGood } from './certificate-check.ts'
import type { GivenCertificate } from './host-fields.ts'
import { type HostPlace, placeOf } from './host-place.ts'
import type { HostQuestion } from './host-question.ts'
import { portFree } from './port-check.ts'

const deadlineMs = 10_000

export function hostChecks<Answers extends GivenCertificate>(question: HostQuestion<Answers>): Check<Answers>[] {
  return [hostResolves(question), portFree(question), certificateGood(question)]
}

interface SeenHost extends ServiceAddress {
  readonly plain: boolean
  readonly resolved: HostPlace | null
  /** One of the name's addresses is an address of this machine. */
  readonly here: boolean
}

function hostResolves<Answers>({ service, field, addressOf }: HostQuestion<Answers>): Check<Answers> {
  const { title } = catalog[service]
  return defineCheck<Answers, SeenHost>({
    id: `${service}.host-resolves`,
    title: 'Host address',
    deadlineMs,
    field,
    fix: 'Look at the name servers of this machine (/etc/resolv.conf).',
    observe: async (answers) => {
      const typed = addressOf(answers)
      const address = serviceAddress(service, typed)
      const resolved = await placeOf(address.host)
      const mine = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address))
      const here = resolved?.addresses.some((found) => resolved.loopback || mine.includes(found)) ?? false
      return { ...address, plain: typedAddress(typed).scheme === 'http', resolved, here }
    },
    outcomes: [
      {
        verdict: 'fail',
        when: ({ resolved }) => resolved === null,
        say: ({ host }) => `${host} does not resolve by DNS or /etc/hosts.`,
        fix: ({ host }) => `Add ${host} to DNS or to /etc/hosts on this machine, or enter another name.`,
        field,
        guide: 'Guide: KMS Host Address'
      },
      {
        verdict: 'fail',
        when: ({ plain, resolved }) => plain && resolved?.loopback === false,
        say: `The ${title} speaks HTTPS only.`,
        fix: ({ address }) => `Enter ${address}.`,
        field,
        offer: ({ address }) => ({ label: `Use ${address}`, values: { [field]: address } })
      },
      {
        verdict: 'warn',
        when: ({ plain }) => plain,
        say: ({ address }) => `The ${title} always speaks HTTPS: it will be at ${address}.`,
        fix: ({ address }) => `Enter ${address}, or go on with it.`,
        field,
        offer: ({ address }) => ({ label: `Use ${address}`, values: { [field]: address } })
      },
      {
        verdict: 'info',
        when: ({ here }) => !here,
        say: ({ host, resolved, address }) =>
          `${host} is ${resolved?.addresses.join(', ')}, which is not an address of this machine: what answers there must lead to it. The ${title} will be at ${address}.`
      },
      {
        verdict: 'pass',
        say: ({ host, resolved, address }) =>
          `${host} is ${resolved?.addresses.join(', ')}; the ${title} will be at ${address}${resolved?.loopback ? ', for this machine only' : ''}.`
      }
    ]
  })
}
