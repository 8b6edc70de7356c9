/**
 * Asks whoever sends wrong secrets again and again to slow down: failures by the sender's address, in memcached for a
 * minute. It never stands in front of a right secret, so neither a poisoned entry, a lost cache nor a neighbour behind the
 * same address can lock a device out; the secrets themselves have 192 random bits.
 */
import type { Cache } from '../../lib/cache/cache.ts'

export interface Attempts {
  /** Counts one more. True: there were too many in the last minute. */
  readonly failed: (address: string) => Promise<boolean>
}

const most = 20
const seconds = 60

export function openAttempts(cache: Cache): Attempts {
  return {
    failed: async (address) => {
      const key = `est-failures:${address}`
      const before = Number(await cache.get(key))
      const count = (Number.isSafeInteger(before) ? before : 0) + 1
      await cache.set(key, String(count), seconds)
      return count > most
    }
  }
}
