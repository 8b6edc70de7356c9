/**
 * Passwords against their argon2id hashes. One canary hash, made at start, stands in for administrators who do not
 * exist, so that an unknown e-mail costs as much time as a wrong password; and it proves that the verifier verifies.
 */
import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

export interface Passwords {
  /** @param stored the PHC string, or null when there is no such administrator: takes as long, and is never right */
  readonly match: (stored: string | null, password: string) => Promise<boolean>
  /** True when the canary is accepted and anything else is not. */
  readonly proveThemselves: () => Promise<boolean>
  /** The same, as it was found less than a minute ago: two hashes cost a tenth of a second, and readiness is asked for every few. */
  readonly haveProved: () => Promise<boolean>
}

const provedForMs = 60_000

/** argon2id as a PHC string (RFC 9106; the parameters are judged where the hash is made). */
const argon2id = /^\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}$/

export function isArgon2idHash(text: string): boolean {
  return argon2id.test(text)
}

export async function openPasswords(): Promise<Passwords> {
  const canary = randomBytes(32).toString('base64url')
  // Algorithm 2 = argon2id; the parameters under which the account step keeps passwords, so that the times are equal.
  const canaryHash = await hash(canary, { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 })

  let provedAt = Number.NEGATIVE_INFINITY
  const prove = async () => {
    const [right, wrong] = await Promise.all([verify(canaryHash, canary), verify(canaryHash, `${canary}.`)])
    const proved = right && !wrong
    if (proved) provedAt = performance.now()
    return proved
  }

  return {
    match: async (stored, password) => {
      const usable = stored !== null && isArgon2idHash(stored)
      const right = await verify(usable ? stored : canaryHash, password)
      return usable && right
    },
    proveThemselves: prove,
    haveProved: async () => performance.now() - provedAt < provedForMs || prove()
  }
}
