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
