/**
 * Which addresses an app has and what may be done at each: fastify's router keeps a tree of its own for every method, and
 * knows only that there is nothing in that of the one that was asked.
 */
import type { FastifyInstance } from 'fastify'

export interface KnownAddress {
  /** As it was registered: /setup/jobs/:id, /public/*. */
  readonly url: string
  readonly methods: ReadonlySet<string>
}

const known = new WeakMap<FastifyInstance, Map<string, Set<string>>>()

/** Before the first route of `app`. */
export function keepAddresses(app: FastifyInstance): void {
  const addresses = new Map<string, Set<string>>()
  known.set(app, addresses)
  app.addHook('onRoute', ({ url, method }) => {
    const methods = addresses.get(url) ?? new Set()
    for (const each of [method].flat()) methods.add(each)
    addresses.set(url, methods)
  })
}

export function addressesOf(app: FastifyInstance): readonly KnownAddress[] {
  return [...(known.get(app) ?? [])].map(([url, methods]) => ({ url, methods }))
}

/**
 * What an address takes, as Allow says it; empty where there is nothing at all.
 * @param address as it came, with its query
 */
export function methodsAt(app: FastifyInstance, address: string): readonly string[] {
  const [path = ''] = address.split('?')
  const there = addressesOf(app).filter(({ url }) => fits(url, path))
  return [...new Set(there.flatMap(({ methods }) => [...methods]))].sort()
}

function fits(url: string, path: string): boolean {
  if (url.endsWith('*')) return path.startsWith(url.slice(0, -1))
  const [named, asked] = [url.split('/'), path.split('/')]
  return (
    named.length === asked.length &&
    named.every((name, at) => name === asked[at] || (name[0] === ':' && asked[at] !== ''))
  )
}
