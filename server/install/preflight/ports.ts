/** The fixed ports: an answer may name another one, so a port that is taken warns. */
import { defineLadder } from '../../checks/check.ts'
import type { Rung } from '../../checks/ladder-judge.ts'
import { fixedPorts, isOurs, listenTrouble } from '../../steps/port-check.ts'

interface SeenPort {
  readonly port: number
  readonly trouble: string | null
  /** The very service that the port is for has it. */
  readonly ours: boolean
}

/** By the name in the id. */
type SeenPorts = Readonly<Record<string, SeenPort>>

const ports = [
  { name: 'wizard', title: 'Port of the wizard', port: 8080, service: null },
  ...fixedPorts.map(({ service, port }) => ({
    name: service,
    title: `Port of the ${service.toUpperCase()}`,
    port,
    service
  }))
]

async function observePorts(stateDir: string): Promise<SeenPorts> {
  const seen: Record<string, SeenPort> = {}
  for (const { name, port, service } of ports) {
    const trouble = await listenTrouble(service === null ? '127.0.0.1' : '0.0.0.0', port)
    seen[name] = {
      port,
      trouble,
      ours: service !== null && trouble !== null && (await isOurs(stateDir, service, port))
    }
  }
  return seen
}

function portRung({ name, title, port, service }: (typeof ports)[number]): Rung<SeenPorts> {
  const other = service === null ? 'start `keyscaler serve --port <another>`' : 'give it an address with another port'
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
