/** A service's port: free, or held by that very service already; one port is given to one service only. */
import { createServer } from 'node:net'
import { catalog, type ServiceName, serviceNames } from '../../services/catalog.ts'
import { type Check, type CheckSurroundings, defineCheck, type Offer } from '../checks/check.ts'
import { type ServiceAddress, serviceAddress } from '../deploy/addresses.ts'
import { readLivingRecord } from '../deploy/process/pid-record.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import { reachOf } from '../deploy/process/service-request.ts'
import { placeOf } from './host-place.ts'
import type { HostQuestion } from './host-question.ts'

const deadlineMs = 10_000

/** Where each service listens when its address names no port. */
export const fixedPorts = serviceNames.map((service) => ({ service, port: catalog[service].port }))

interface SeenPort extends ServiceAddress {
  /** null: nobody has it, or the service itself. */
  readonly trouble: string | null
  readonly ours: boolean
  /** Title of another service that was given this port. */
  readonly promisedTo: string | null
  readonly free: number | null
}

export function portFree<Answers>({ service, field, addressOf }: HostQuestion<Answers>): Check<Answers> {
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
export function listenTrouble(host: string, port: number): Promise<string | null> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

export async function isOurs(stateDir: string, service: ServiceName, port: number): Promise<boolean> {
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
