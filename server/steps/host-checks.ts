/** The checks that the four deployment steps share: the address resolves, its port is free or ours, the certificate is good. */
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { catalog, type ServiceName, serviceNames } from '../../services/catalog.ts'
import { type Check, type CheckSurroundings, defineCheck, type Offer } from '../checks/check.ts'
import { type ServiceAddress, serviceAddress, typedAddress } from '../deploy/addresses.ts'
import { readLivingRecord } from '../deploy/process/pid-record.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import { reachOf } from '../deploy/process/service-request.ts'
import { type GivenCertificateFacts, judgeCertificate } from './given-certificate.ts'
import type { GivenCertificate } from './host-fields.ts'
import { type HostPlace, placeOf } from './host-place.ts'

interface HostQuestion<Answers> {
  readonly service: ServiceName
  /** Name of the field, the same as its step's id and "Host". */
  readonly field: `${ServiceName}Host`
  readonly addressOf: (answers: Answers) => string
}

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

interface SeenPort extends ServiceAddress {
  /** null: nobody has it, or the service itself. */
  readonly trouble: string | null
  readonly ours: boolean
  /** Title of another service that was given this port. */
  readonly promisedTo: string | null
  readonly free: number | null
}

function portFree<Answers>({ service, field, addressOf }: HostQuestion<Answers>): Check<Answers> {
  const offer = ({ host, free }: SeenPort): Offer | undefined => {
    if (free === null) return undefined
    const named = host.includes(':') ? `[${host}]` : host
    return { label: `Use port ${free}`, values: { [field]: `https://${named}:${free}` } }
  }
  return defineCheck<Answers, SeenPort>({
    id: `${service}.port-free`,
    title: 'Port',
    deadlineMs,
    field,
    fix: 'Enter an address with another port.',
    observe: async (answers, around) => {
      const address = serviceAddress(service, addressOf(answers))
      const listenHost = (await placeOf(address.host))?.listenHost ?? '0.0.0.0'
      const promised = promisedPorts(service, around)
      const promisedTo = promised.get(address.port) ?? null
      const trouble = await listenTrouble(listenHost, address.port)
      const ours = trouble === 'EADDRINUSE' && (await isOurs(around.stateDir, service, address.port))
      const good = promisedTo === null && (trouble === null || ours)
      return {
        ...address,
        trouble: ours ? null : trouble,
        ours,
        promisedTo,
        free: good ? null : await nextFree(listenHost, catalog[service].port, promised)
      }
    },
    outcomes: [
      {
        verdict: 'fail',
        when: ({ promisedTo }) => promisedTo !== null,
        say: ({ port, promisedTo }) => `Port ${port} was given to the ${promisedTo}.`,
        fix: ({ free }) => (free === null ? 'Enter another port.' : `Port ${free} is free.`),
        field,
        offer
      },
      {
        verdict: 'fail',
        when: ({ trouble }) => trouble === 'EADDRINUSE',
        say: ({ port }) => `Port ${port} is used by another program on this machine.`,
        fix: ({ free, port }) =>
          `${free === null ? 'Enter another port' : `Port ${free} is free`}; \`ss -ltnp sport = :${port}\` names the program.`,
        field,
        offer
      },
      {
        verdict: 'fail',
        when: ({ trouble }) => trouble !== null,
        say: ({ port, trouble }) => `This user may not listen on port ${port} (${trouble}).`,
        fix: 'Enter a port of 1024 or more, or let the services run as a user who may.',
        field,
        offer
      },
      { verdict: 'pass', when: ({ ours }) => ours, say: ({ port }) => `Port ${port} is used by this service already.` },
      { verdict: 'pass', say: ({ port }) => `Port ${port} is free.` }
    ]
  })
}

function certificateGood<Answers extends GivenCertificate>({
  service,
  addressOf
}: HostQuestion<Answers>): Check<Answers> {
  const at = (date: Date | null) => date?.toISOString().slice(0, 10) ?? 'an unknown day'
  const whole =
    'Paste the whole chain that belongs to the private key, or leave both empty: the internal CA issues one.'
  return defineCheck<Answers, GivenCertificateFacts | null>({
    id: `${service}.certificate`,
    title: 'Certificate',
    deadlineMs,
    field: 'certificate',
    fix: whole,
    observe: async (answers) => {
      const { certificate, certificateKey } = answers
      if (certificate === undefined || certificateKey === undefined) return null
      return judgeCertificate(certificate, certificateKey, serviceAddress(service, addressOf(answers)).host)
    },
    outcomes: [
      {
        verdict: 'info',
        when: (seen) => seen === null,
        say: 'The internal CA will issue a certificate. Browsers warn until they know that CA; its certificate is shown at the end of setup.'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'key-unreadable',
        say: 'The private key cannot be read.',
        fix: 'Paste it as PEM without a passphrase.',
        field: 'certificateKey'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'key-mismatch',
        say: 'The private key does not belong to the certificate.',
        fix: 'The server certificate must stand first, before intermediate ones.',
        field: 'certificateKey'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'wrong-name',
        say: (seen) => `The certificate is not for ${seen?.host} but for ${seen?.names}.`,
        fix: 'Use a certificate with this name, or enter the address that it names.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'expired',
        say: (seen) => `The certificate of ${seen?.host} expired on ${at(seen?.notAfter ?? null)}.`,
        fix: 'Renew it.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem === 'not-yet-valid',
        say: (seen) => `The certificate of ${seen?.host} is not valid yet.`,
        fix: 'Look at the clock of this machine.',
        field: 'certificate'
      },
      {
        verdict: 'fail',
        when: (seen) => seen?.problem != null,
        say: (seen) => `Certificate of ${seen?.host} is not trusted.`,
        fix: `It must lead to a root that this system trusts (update-ca-certificates). ${whole}`,
        field: 'certificate',
        guide: 'Guide: note on HTTPS under KMS Host Address'
      },
      {
        verdict: 'pass',
        say: (seen) => `The certificate is good for ${seen?.host} until ${at(seen?.notAfter ?? null)}.`
      }
    ]
  })
}

/** Ports that the answers of other steps give to their services. */
function promisedPorts(service: ServiceName, { earlier }: CheckSurroundings): ReadonlyMap<number, string> {
  const promised = new Map<number, string>()
  for (const other of serviceNames) {
    const typed = earlier[other]?.[`${other}Host`]
    if (other === service || typeof typed !== 'string') continue
    promised.set(serviceAddress(other, typed).port, catalog[other].title)
  }
  return promised
}

/** Tries to listen there. @returns the code of the error; null when it went well */
function listenTrouble(host: string, port: number): Promise<string | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

async function isOurs(stateDir: string, service: ServiceName, port: number): Promise<boolean> {
  const run = runFolder(stateDir, service)
  if ((await readLivingRecord(run.pid)) === null) return false
  return reachOf(await readDeployedConfig(run))?.listen.port === port
}

/** The service's own port, or the next after the four fixed ones that nobody has. */
async function nextFree(host: string, own: number, promised: ReadonlyMap<number, string>): Promise<number | null> {
  const candidates = [own, ...Array.from({ length: 50 }, (_, index) => catalog.cp.port + 1 + index)]
  for (const port of candidates) {
    if (!promised.has(port) && (await listenTrouble(host, port)) === null) return port
  }
  return null
}
