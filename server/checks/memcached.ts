/** One memcached server: version, then a set, get and delete of a nonce. */
import { randomBytes } from 'node:crypto'
import { openCacheNode } from '../../lib/cache/cache-node.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { resolveAddress } from './address.ts'

export interface MemcachedSeen {
  readonly server: string
  readonly version: string | null
  /** null: all went well. */
  readonly problem: 'unresolved' | 'silent' | 'refused' | 'not-memcached' | 'does-not-keep' | null
}

/** Generous beside the 300 ms of daily work: a check may wait for a sleepy server. */
const deadlineMs = 2000

/** @param server host:port. Never throws for what a peer does. */
export async function observeMemcached(server: string, prefix: string): Promise<MemcachedSeen> {
  const host = server.slice(0, server.lastIndexOf(':'))
  const resolved = await resolveAddress(host)
  if (resolved === null) return { server, version: null, problem: 'unresolved' }
  const node = openCacheNode(server, deadlineMs)
  let version: string | null = null
  try {
    version = await node.version()
    const key = `${prefix}check-${randomBytes(8).toString('hex')}`
    const nonce = randomBytes(16).toString('hex')
    const kept =
      (await node.set(key, nonce, 60)) &&
      (await node.get(key)) === nonce &&
      (await node.delete(key)) &&
      (await node.get(key)) === undefined
    return { server, version, problem: kept ? null : 'does-not-keep' }
  } catch (thrown) {
    if (version !== null) return { server, version, problem: 'does-not-keep' }
    const late = thrown instanceof AppError && thrown.code === 'deadline-exceeded'
    const strange =
      thrown instanceof AppError && /does not answer like memcached|Unknown response/i.test(thrown.message)
    return { server, version, problem: late ? 'silent' : strange ? 'not-memcached' : 'refused' }
  } finally {
    node.close()
  }
}
