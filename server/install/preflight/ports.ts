/** The fixed ports: an answer may name another one, so a port that is taken warns. */
import { catalog, serviceNames } from '../../../services/catalog.ts'
import { defineLadder, type Rung } from '../../checks/check.ts'
import { isOurs, listenTrouble } from '../../steps/port-check.ts'

interface SeenPort {
  readonly port: number
  readonly trouble: string | null
  /** The very service that the port is for has it. */
  readonly ours: boolean
}

/** By the name in the id. */
type SeenPorts = Readonly<Record<string, SeenPort>>

const wizard = { name: 'wizard', title: 'Port of the wizard', port: 8080 }
const ports = [
  wizard,
  ...serviceNames.map((name) => ({ name, title: `Port of the ${name.toUpperCase()}`, port: catalog[name].port }))
]

async function observePorts(stateDir: string): Promise<SeenPorts> {
  const seen: Record<string, SeenPort> = {}
  for (const { name, port } of ports) {
    const trouble = await listenTrouble(name === wizard.name ? '127.0.0.1' : '0.0.0.0', port)
    const service = serviceNames.find((known) => known === name)
    seen[name] = {
      port,
      trouble,
      ours: service !== undefined && trouble !== null && (await isOurs(stateDir, service, port))
    }
  }
  return seen
}

function portRung({ name, title, port }: (typeof ports)[number]): Rung<SeenPorts> {
  const other =
    name === wizard.name ? 'start `keyscaler serve --port <another>`' : 'give it an address with another port'
  return {
    id: `preflight.port-${name}`,
    title,
    independent: true,
    outcomes: [
      { verdict: 'pass', when: (seen) => seen[name]?.ours === true, say: `${port} is used by this very service.` },
      {
        verdict: 'warn',
        when: (seen) => seen[name]?.trouble === 'EADDRINUSE',
        say: `${port} is used by another program on this machine.`,
        fix: `\`ss -ltnp sport = :${port}\` names it: end it, or ${other}.`
      },
      {
        verdict: 'warn',
        when: (seen) => seen[name]?.trouble != null,
        say: (seen) => `This user may not listen on ${port} (${seen[name]?.trouble}).`,
        fix: `Let it, or ${other}.`
      },
      { verdict: 'pass', say: `${port} is free.` }
    ]
  }
}

export const portLadder = defineLadder<string, SeenPorts>({
  id: 'preflight.ports',
  title: 'Ports',
  deadlineMs: 5000,
  fix: 'Look at what listens on this machine (`ss -ltn`).',
  observe: observePorts,
  rungs: ports.map(portRung)
})
