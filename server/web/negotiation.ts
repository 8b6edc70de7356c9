/** HTML or JSON is decided here, at the edge: by Accept, then by what was sent. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { type SkipRequest, skipsPosted } from '../install/skips.ts'

export type AnswerForm = 'html' | 'json'

/** RFC 9110 section 12.5.1: the form that is liked best, a page before JSON; where Accept names none, as the body came. */
export function answerFormOf(request: FastifyRequest): AnswerForm {
  return likedForm(request) ?? (isScripts(request) ? 'json' : 'html')
}

/** A browser sends forms, and never a token. */
function isScripts({ headers }: FastifyRequest): boolean {
  const body = headers['content-type'] ?? ''
  return body.includes('json') || (headers.authorization !== undefined && !body.includes('form-urlencoded'))
}

/** For addresses that scripts ask for first: a page only for who names it, so that plain curl gets JSON. */
export function prefersPage(request: FastifyRequest): boolean {
  return likedForm(request) === 'html'
}

const negotiated = new WeakSet<FastifyRequest>()

/** RFC 9110 section 12.5.5, on each answer for which Accept was looked at: a cache does not give a script's to a browser. */
export function tellWhatVaries(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    if (!negotiated.has(request)) return
    const others = String(reply.getHeader('vary') ?? '')
    reply.header('vary', others === '' ? 'accept' : `accept, ${others}`)
  })
}

/** Of the forms that are named in Accept; null when none is. */
function likedForm(request: FastifyRequest): AnswerForm | null {
  negotiated.add(request)
  const ranges = (request.headers.accept ?? '').split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
    return { type, q: weight === undefined ? 1 : Number(weight) }
  })
  const liked = (fits: (type: string) => boolean) =>
    Math.max(0, ...ranges.filter(({ type, q }) => fits(type) && q > 0).map(({ q }) => q))
  const forms = [
    ['html', liked((type) => type === 'text/html' || type === 'application/xhtml+xml')],
    ['json', liked((type) => /^application\/(.+\+)?json$/.test(type))]
  ] as const
  const best = forms.reduce((one, other) => (other[1] > one[1] ? other : one))
  return best[1] > 0 ? best[0] : null
}

export interface PostedStep {
  /** Field names only. */
  readonly answers: Readonly<Record<string, unknown>>
  readonly revision?: number
  readonly continueAnyway: boolean
  /** Checks to leave out, as a script names them; the form has none of that. */
  readonly skip: readonly SkipRequest[]
  /** Values of a button that fills fields in ("use this partition"), or null. */
  readonly fill: Readonly<Record<string, string>> | null
  /** Look for partitions now, not at what was found a while ago. */
  readonly rescan: boolean
  /** Output of lunacm or vtl, to be read; null: none was sent for that. */
  readonly pasted: string | null
}

/** A list, a word or nothing at all is a mistake of who sends it, not an order without words. @throws AppError invalid-input */
export function objectBody(body: unknown): Record<string, unknown> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body }
  throw new AppError('invalid-input', 'The body must be a JSON object.', {
    cure: 'Send {} where there is nothing to say.'
  })
}

/** Takes the form's own names (they begin with _) out of the body; what is left is answers. @throws AppError invalid-input */
export function postedStep(body: unknown): PostedStep {
  const given = objectBody(body)
  const own = new Map(Object.entries(given).filter(([name]) => name.startsWith('_')))
  const typed = Object.fromEntries(Object.entries(given).filter(([name]) => !ownNames.has(name)))
  const answers = withoutStaleSerial(typed, own.get('_chosen'))
  const revision = Number(own.get('_revision'))
  const use = own.get('_use')
  const chosen = use === 'partition' ? own.get('_partition') : use === 'client' ? own.get('_client') : undefined
  const offer = own.get('_offer') ?? chosen
  const paste = own.get('_paste')
  return {
    answers,
    ...(own.has('_revision') && Number.isInteger(revision) ? { revision } : {}),
    continueAnyway: own.get('_continue') === 'yes' || own.get('_continue') === true,
    skip: own.has('_skip') ? skipsPosted(own.get('_skip')) : [],
    fill: typeof offer === 'string' ? Object.fromEntries(new URLSearchParams(offer)) : null,
    rescan: use === 'rescan' || use === 'client',
    pasted: use === 'paste' ? (typeof paste === 'string' ? paste : '') : null
  }
}

/**
 * The serial number that came with a partition goes when slot or name are typed over. Scripts of ours clear it at once
 * (wizard.js); without them the page says what was chosen.
 */
function withoutStaleSerial(typed: Record<string, unknown>, chosen: unknown): Record<string, unknown> {
  if (typeof chosen !== 'string') return typed
  const before = new URLSearchParams(chosen)
  const changed = ['slot', 'partition'].some((name) => typed[name] !== before.get(name))
  return changed && typed.serial === before.get('serial') ? { ...typed, serial: '' } : typed
}

const ownNames = new Set([
  '_csrf',
  '_revision',
  '_continue',
  '_skip',
  '_offer',
  '_use',
  '_partition',
  '_chosen',
  '_client',
  '_paste',
  // Of "Change it now" (server/key-store-password): Test and Next have no use for them.
  '_newPassword',
  '_newPasswordAgain'
])
