/**
 * Slows down guessing of enrolment secrets: failures by sender's address, in memcached for a minute. A help only; the
 * secrets themselves have 192 random bits, so a cache that is gone opens nothing.
 */
import type { Cache } from '../../lib/cache/cache.ts'

export interface Attempts {
  readonly allowed: (address: string) => Promise<boolean>
  readonly failed: (address: string) => Promise<void>
}

const most = 20
const seconds = 60

export function openAttempts(cache: Cache): Attempts {
  const count = async (address: string) => Number((await cache.get(`est-failures:${address}`)) ?? 0)
  return {
    allowed: async (address) => (await count(address)) < most,
    failed: async (address) => {
      await cache.set(`est-failures:${address}`, String((await count(address)) + 1), seconds)
    }
  }
}
