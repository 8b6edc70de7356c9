/**
 * Free ports on 127.0.0.1. They are taken below the kernel's ephemeral range (32768 and up), where no outgoing
 * connection can take one between our look and the server's bind.
 */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

const [lowest, highest] = [15_000, 32_000]
const handedOut = new Set<number>()

export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** A port that nobody listens on, and that this process was not given before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = randomInt(lowest, highest)
    if (handedOut.has(port) || !(await portIsFree(port))) continue
    handedOut.add(port)
    return port
  }
  throw new Error(`No free port on 127.0.0.1 between ${lowest} and ${highest}`)
}

/**
 * The ports of a sandbox folder: the ones it had before where they are still free, so that what was configured with
 * them goes on working after a restart.
 */
export async function rememberedPorts<Name extends string>(
  dir: string,
  names: readonly Name[]
): Promise<Record<Name, number>> {
  const file = join(dir, 'ports.json')
  const known = readPorts(file)
  const ports: Partial<Record<Name, number>> = {}
  for (const name of names) {
    const before = known[name]
    ports[name] = before !== undefined && (await portIsFree(before)) ? before : await freePort()
  }
  writeFileSync(file, `${JSON.stringify({ ...known, ...ports }, null, 2)}\n`)
  return ports as Record<Name, number>
}

function readPorts(file: string): Readonly<Record<string, number>> {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {} // A new folder, or a file torn by a kill: fresh ports then.
  }
}
