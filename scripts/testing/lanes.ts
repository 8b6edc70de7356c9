/** The pieces of a run, over as many lanes as there are processors: whoever is free takes the next one. */
import { availableParallelism } from 'node:os'
import type { Tally } from './tally.ts'

export interface Work {
  /** It listens on ports that others of this sort want, too: one of them at a time. */
  readonly fixedPorts: boolean
  readonly run: () => Promise<Tally>
}

/** @returns what each came to, in the order of their ends; it rejects as soon as one does */
export async function runInLanes(work: readonly Work[], lanes = availableParallelism()): Promise<Tally[]> {
  const waiting = [...work]
  const tallies: Tally[] = []
  let portsAreFree = Promise.withResolvers<void>()
  portsAreFree.resolve()
  let portsAreTaken = false

  const lane = async (): Promise<void> => {
    while (waiting.length > 0) {
      const at = waiting.findIndex(({ fixedPorts }) => !(fixedPorts && portsAreTaken))
      if (at === -1) {
        await portsAreFree.promise
        continue
      }
      const [{ fixedPorts, run }] = waiting.splice(at, 1) as [Work]
      if (!fixedPorts) {
        tallies.push(await run())
        continue
      }
      portsAreTaken = true
      portsAreFree = Promise.withResolvers()
      tallies.push(await run())
      portsAreTaken = false
      portsAreFree.resolve()
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return tallies
}
