/**
 * memcached behind a thin port. Nothing may depend on the cache for correctness: a server that is slow, gone or full is
 * a miss, within 300 ms the first time and at once for the second after that. Keys are spread over the servers by
 * rendezvous hashing, so losing one server loses its keys only.
 */
import { createHash } from 'node:crypto'
import { type CacheNode, openCacheNode } from './cache-node.ts'

export interface Cache {
  /** Undefined: not there, or the server is not. */
  readonly get: (key: string) => Promise<string | undefined>
  /** False when it could not be kept. @param seconds 0..2592000; 0 = until it is evicted */
  readonly set: (key: string, value: string, seconds: number) => Promise<boolean>
  /** False when that could not be made sure: what must not be read again needs its own proof. */
  readonly delete: (key: string) => Promise<boolean>
  /** Of each server, or null for one that does not answer. */
  readonly versions: () => Promise<Readonly<Record<string, string | null>>>
  readonly close: () => void
}

/** @param servers host:port each @param prefix stands before every key */
export function openCache(servers: readonly string[], prefix = ''): Cache {
  const nodes = servers.map((server) => ({ server, node: openCacheNode(server) }))

  function nodeOf(key: string): CacheNode {
    let best: { weight: string; node: CacheNode } | undefined
    for (const { server, node } of nodes) {
      const weight = createHash('sha256').update(`${server}\n${key}`).digest('hex')
      if (best === undefined || weight > best.weight) best = { weight, node }
    }
    if (best === undefined) throw new RangeError('a cache needs a server')
    return best.node
  }

  return {
    get: (key) =>
      nodeOf(key)
        .get(prefix + key)
        .catch(() => undefined),
    set: (key, value, seconds) =>
      nodeOf(key)
        .set(prefix + key, value, seconds)
        .catch(() => false),
    delete: async (key) => {
      try {
        await nodeOf(key).delete(prefix + key)
        return true
      } catch {
        return false
      }
    },
    versions: async () =>
      Object.fromEntries(
        await Promise.all(
          nodes.map(async ({ server, node }) => [server, await node.version().catch(() => null)] as const)
        )
      ),
    close: () => {
      for (const { node } of nodes) node.close()
    }
  }
}
