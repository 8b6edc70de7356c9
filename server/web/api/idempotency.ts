/**
 * Idempotency-Key on the POSTs of setup (draft-ietf-httpapi-idempotency-key-header): the same key with the same body gets
 * the first answer again, also after a lost connection, a restart or the end of setup, and waits for it while the first is
 * still being worked on; with another body it is refused with 422. Kept are answers that say how it went; after a 5xx the
 * same key tries again. A page is not kept (it is a session's own), its redirect is.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import { sameText } from '../../../lib/service/same-text.ts'
import { type AnswerMemory, type KeptAnswer, type KeptRequest, openAnswerMemory } from '../../install/answer-memory.ts'
import type { Install } from '../../install/install.ts'
import { answerOf, answerWith, withheld } from './kept-answer.ts'

/** A request that is being worked on. */
interface Running {
  readonly requestMac: string
  /** null: it ended in a page, or in nothing that another could be given. */
  readonly answered: Promise<KeptAnswer | null>
  readonly settle: (answer: KeptAnswer | null) => void
}

interface Ground {
  readonly memory: AnswerMemory
  readonly running: Map<string, Running>
  /** Whole answers, secrets included, whose caller was gone: for who asks again, until it is delivered. In memory only. */
  readonly undelivered: Map<string, KeptAnswer>
}

type Remembering = Pick<Install, 'id' | 'stateDir' | 'database'>

/** The app of the open setup and that of the locked one share it: the last step's answer outlives its app. */
const grounds = new WeakMap<Remembering, Ground>()

function groundOf(install: Remembering): Ground {
  const known = grounds.get(install)
  if (known !== undefined) return known
  const fresh = { memory: openAnswerMemory(install), running: new Map(), undelivered: new Map() }
  grounds.set(install, fresh)
  return fresh
}

/** Hooks for the routes of `app`, after those that let the caller in. */
export function honourIdempotencyKeys(app: FastifyInstance, install: Remembering): void {
  const ground = groundOf(install)
  const { memory, running, undelivered } = ground
  /** `fresh`: this one does the work; otherwise it was answered, or refused, from memory. */
  const own = new WeakMap<FastifyRequest, { readonly kept: KeptRequest; readonly entry: Running; fresh: boolean }>()

  const release = (request: FastifyRequest, answer: KeptAnswer | null) => {
    const mine = own.get(request)
    if (mine === undefined) return
    own.delete(request)
    if (running.get(mine.kept.keyHash) === mine.entry) running.delete(mine.kept.keyHash)
    mine.entry.settle(answer)
  }

  app.addHook('preHandler', async (request, reply) => {
    const keyHash = keyHashOf(request)
    if (keyHash === null) return
    const requestMac = await memory.mac(described(request))
    for (let first = running.get(keyHash); first !== undefined; first = running.get(keyHash)) {
      if (first.requestMac !== requestMac) throw reused()
      const answer = await first.answered
      if (answer !== null) return answerWith(reply, answer)
    }
    // Nothing is awaited between the look into the map and this: of two at once, one is the first.
    const entry = runningWith(requestMac)
    running.set(keyHash, entry)
    const holderHash = hashOf(holderOf(request))
    const kept = { keyHash, requestMac, holderHash, answer: null, at: new Date().toISOString() }
    const mine = { kept, entry, fresh: false }
    own.set(request, mine)
    const known = await memory.find(keyHash)
    if (known !== null && !sameText(known.requestMac, requestMac)) throw reused()
    const answer = undelivered.get(keyHash) ?? known?.answer ?? null
    if (answer !== null) return answerWith(reply, answer)
    await memory.keep(kept)
    mine.fresh = true
    // What is kept is the text itself, before it is compressed.
    request.headers['x-no-compression'] = 'idempotency'
    return undefined
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const mine = own.get(request)
    if (mine === undefined) return
    const answer = answerOf(reply, payload)
    if (answer !== null) {
      const spoken = withheld(answer)
      if (mine.fresh && answer.status < 500) {
        await memory.keep({ ...mine.kept, answer: spoken }).catch((err) => {
          request.log.error({ err }, 'the answer could not be kept')
        })
      }
      if (spoken !== answer) keepUntilDelivered(ground, mine.kept.keyHash, reply, answer)
    }
    release(request, answer)
  })
  // A reply that was taken over (hijack) has no onSend.
  app.addHook('onResponse', async (request) => release(request, null))
}

/**
 * After setup: an answer of setup for who asks with the same key, body and token as then; null for everybody else.
 * Nothing is done, and no session is needed: sessions end with setup.
 */
export async function answerFromSetup(install: Remembering, request: FastifyRequest): Promise<KeptAnswer | null> {
  const keyHash = keyHashOf(request)
  if (keyHash === null) return null
  const { memory, running, undelivered } = groundOf(install)
  const requestMac = await memory.mac(described(request))
  await running.get(keyHash)?.answered
  const kept = await memory.find(keyHash)
  if (kept === null || !sameText(kept.requestMac, requestMac)) return null
  if (!sameText(kept.holderHash, hashOf(holderOf(request)))) return null
  return undelivered.get(keyHash) ?? kept.answer
}

/** Null without the header. @throws AppError invalid-input for one that is none */
export function keyHashOf(request: FastifyRequest): string | null {
  const header = request.headers['idempotency-key']
  if (request.method !== 'POST' || header === undefined) return null
  const key = /^"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?$/.exec(String(header))?.[1]
  if (key === undefined) {
    throw new AppError('invalid-input', 'Idempotency-Key must be 1 to 255 visible characters.', {
      cure: 'Send a UUID that is new for every request, and the same one when you send that request again.'
    })
  }
  return hashOf(key)
}

function reused(): AppError {
  return new AppError('invalid-input', 'This Idempotency-Key was sent before, with another request.', {
    reason: 'idempotency-key-reused',
    cure: 'Send another key. To have the first answer again, send the very same request.'
  })
}

/** Where it goes and what is in it: members in one order, without the form's own token. */
function described(request: FastifyRequest): string {
  return JSON.stringify([request.url, request.body], (name, value: unknown) => {
    if (name === '_csrf') return undefined
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
  })
}

/** Session or token, as it came. */
function holderOf({ headers }: FastifyRequest): string {
  return headers.authorization ?? headers.cookie ?? ''
}

function runningWith(requestMac: string): Running {
  const { promise, resolve } = Promise.withResolvers<KeptAnswer | null>()
  return { requestMac, answered: promise, settle: resolve }
}

/** Until all of it went out; a caller who is gone gets it when it asks again. */
function keepUntilDelivered({ undelivered }: Ground, keyHash: string, reply: FastifyReply, answer: KeptAnswer): void {
  undelivered.set(keyHash, answer)
  reply.raw.once('finish', () => {
    if (!reply.raw.destroyed) undelivered.delete(keyHash)
  })
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
