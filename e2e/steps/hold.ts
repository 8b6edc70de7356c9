/** A service that is slow to come up, for as long as a story looks at what is said meanwhile. */
import { expect } from 'playwright/test'
import type { ServiceName } from '../../services/catalog.ts'
import type { World } from '../world/world.ts'

/** Stops the service as soon as it is started. @returns lets it go on; of one that was ended meanwhile nothing */
export async function holdService({ processes }: World, name: ServiceName): Promise<() => void> {
  const before = new Set(pidsOf(processes(), name))
  let held = 0
  const started = () => {
    held = pidsOf(processes(), name).find((pid) => !before.has(pid)) ?? 0
    return held
  }
  await expect.poll(started, { intervals: [10], timeout: 60_000 }).toBeGreaterThan(0)
  process.kill(held, 'SIGSTOP')
  return () => {
    if (pidsOf(processes(), name).includes(held)) process.kill(held, 'SIGCONT')
  }
}

function pidsOf(lines: readonly string[], name: ServiceName): number[] {
  return lines.filter((line) => line.includes(`services/${name}/main.ts`)).map((line) => Number.parseInt(line, 10))
}
