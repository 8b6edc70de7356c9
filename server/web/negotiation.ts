/** HTML or JSON is decided here, at the edge: by Accept, then by what was sent. */
import type { FastifyRequest } from 'fastify'

export type AnswerForm = 'html' | 'json' | 'stream'

export function answerFormOf(request: FastifyRequest): AnswerForm {
  const accept = request.headers.accept ?? ''
  if (accept.includes('application/x-ndjson')) return 'stream'
  if (accept.includes('text/html')) return 'html'
  if (accept.includes('json')) return 'json'
  return (request.headers['content-type'] ?? '').includes('json') ? 'json' : 'html'
}

export interface PostedStep {
  /** Field names only. */
  readonly answers: Readonly<Record<string, unknown>>
  readonly revision?: number
  readonly continueAnyway: boolean
  /** Values of a button that fills fields in ("use this partition"), or null. */
  readonly fill: Readonly<Record<string, string>> | null
  readonly rescan: boolean
}

/** Takes the form's own names (they begin with _) out of the body; what is left is answers. */
export function postedStep(body: unknown): PostedStep {
  const given = typeof body === 'object' && body !== null && !Array.isArray(body) ? body : {}
  const own = new Map(Object.entries(given).filter(([name]) => name.startsWith('_')))
  const answers = Object.fromEntries(Object.entries(given).filter(([name]) => !ownNames.has(name)))
  const revision = Number(own.get('_revision'))
  const offer = own.get('_offer') ?? (own.get('_use') === 'partition' ? own.get('_partition') : undefined)
  return {
    answers,
    ...(own.has('_revision') && Number.isInteger(revision) ? { revision } : {}),
    continueAnyway: own.get('_continue') === 'yes' || own.get('_continue') === true,
    fill: typeof offer === 'string' ? Object.fromEntries(new URLSearchParams(offer)) : null,
    rescan: own.get('_use') === 'rescan'
  }
}

const ownNames = new Set(['_csrf', '_revision', '_continue', '_offer', '_use', '_partition'])
