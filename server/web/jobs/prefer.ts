/** The Prefer header (RFC 7240): how long a client waits for a job, or that it does not. */
import type { FastifyReply, FastifyRequest } from 'fastify'

/** RFC 7240 section 4.3 leaves the bound to the server. */
const longestWaitS = 300

/** Milliseconds that a preference asks for; null: it has none. A preference that is malformed is none (section 2). */
export function preferredWait({ headers }: Pick<FastifyRequest, 'headers'>): number | null {
  const preferences = [headers.prefer ?? []].flat().join(',').toLowerCase().split(',')
  const named = preferences.map((preference) => preference.split(';')[0]?.trim() ?? '')
  const seconds = named.map((preference) => /^wait\s*=\s*"?(\d{1,9})"?$/.exec(preference)?.[1]).find(Boolean)
  if (seconds !== undefined) return Math.min(Number(seconds), longestWaitS) * 1000
  return named.includes('respond-async') ? 0 : null
}

/** Section 3: what of it was honoured. */
export function appliedWait(reply: FastifyReply, waitMs: number | null): void {
  reply.header('vary', 'Accept, Prefer')
  if (waitMs === null) return
  reply.header('preference-applied', waitMs === 0 ? 'respond-async' : `wait=${waitMs / 1000}`)
}
