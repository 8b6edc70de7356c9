/**
 * The link to the key store: open, or lost and being opened again. While it is lost, or does not answer, every use fails at once
 * with service-unavailable; nobody waits for a token. Opening costs one login, and after a rejected PIN there is no further one.
 */
import type { Logger } from 'pino'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { EncryptsData, KeyStore } from '../../lib/keystore/keystore.ts'
import { within } from '../../lib/process/within.ts'

export type OpenKeyStore = KeyStore & EncryptsData

export interface KeyStoreLink {
  /**
   * Runs work on the open key store.
   * @param withinMs the caller's answer comes by then; making a key may be given more
   * @throws AppError service-unavailable when the key store is lost, is lost meanwhile, or is too slow; else what `work` throws
   */
  readonly use: <T>(work: (store: OpenKeyStore) => Promise<T>, withinMs?: number) => Promise<T>
  readonly state: () => { readonly open: boolean; readonly detail: string }
  readonly close: () => Promise<void>
}

export interface KeyStoreLinkSpec {
  /**
   * Opens the token: at most one login.
   * @param lost to be called once when the key store is gone without having been closed
   * @throws AppError pin-rejected, key-store-unavailable, conflict
   */
  readonly open: (lost: (why: AppError) => void) => Promise<OpenKeyStore>
  /** Refuses a token that is not the one we had: master key by id, and an encryption that comes back. */
  readonly prove: (store: OpenKeyStore) => Promise<void>
  readonly log: Logger
  /** Told at every change. */
  readonly opened: (open: boolean) => void
  /** Called once, when the token rejects the PIN in service: the program ends, sealed. */
  readonly pinRejected: (error: AppError) => void
  /** Milliseconds; the defaults are what production runs with. */
  readonly times?: Partial<LinkTimes>
}

interface LinkTimes {
  readonly useMs: number
  readonly pingEveryMs: number
  /** A ping that takes longer: not lost (a key may be in the making), but not in service either. */
  readonly pingMs: number
  readonly firstBackOffMs: number
  /**
   * So short because an opening costs no login while the token is away, and service is back within 5 s of its return: this wait
   * and an opening, which takes 0.3 s and, where other programs want the cores too, ten times that.
   */
  readonly lastBackOffMs: number
  /** A link that held this long was a good one: the next loss begins with the first back-off again. */
  readonly steadyMs: number
}

const usualTimes: LinkTimes = {
  useMs: 4500,
  pingEveryMs: 1000,
  pingMs: 3000,
  firstBackOffMs: 100,
  lastBackOffMs: 1500,
  steadyMs: 1000
}

/** @throws what the first opening throws: a KMS without a key store does not start */
export async function linkKeyStore(spec: KeyStoreLinkSpec): Promise<KeyStoreLink> {
  const link = new ReopeningLink(spec)
  await link.open()
  return link
}

class ReopeningLink implements KeyStoreLink {
  readonly #spec: KeyStoreLinkSpec
  readonly #times: LinkTimes
  /** Null while it is lost. */
  #store: OpenKeyStore | null = null
  #answers = false
  #detail = 'opening'
  #openedAt = 0
  #backOff: number
  #ended = false
  #next: NodeJS.Timeout | undefined

  constructor(spec: KeyStoreLinkSpec) {
    this.#spec = spec
    this.#times = { ...usualTimes, ...spec.times }
    this.#backOff = this.#times.firstBackOffMs
  }

  use: KeyStoreLink['use'] = async (work, withinMs = this.#times.useMs) => {
    const store = this.#store
    if (store === null || !this.#answers) throw unavailable(this.#detail)
    try {
      return await within(withinMs, 'the token', () => work(store))
    } catch (thrown) {
      if (isPinRejected(thrown)) this.#lost(store, thrown)
      // Whether the key store is gone too is the agent's to tell: a full queue, one odd answer or a slow one says nothing.
      throw isUnavailable(thrown) ? unavailable(thrown.message, thrown) : thrown
    }
  }

  state: KeyStoreLink['state'] = () => ({ open: this.#answers, detail: this.#detail })

  close: KeyStoreLink['close'] = async () => {
    this.#ended = true
    this.#answers = false
    clearTimeout(this.#next)
    await this.#store?.close()
  }

  async open(): Promise<void> {
    let why: AppError | undefined
    let current: OpenKeyStore | undefined
    const store = await this.#spec.open((reason) => {
      why = reason
      if (current !== undefined) this.#lost(current, reason)
    })
    try {
      await this.#spec.prove(store)
      if (why !== undefined) throw why
    } catch (thrown) {
      await store.close().catch(() => {})
      throw thrown
    }
    if (this.#ended) return store.close()
    current = store
    this.#store = store
    this.#openedAt = performance.now()
    this.#say(true, 'open')
    this.#watch(store)
  }

  #say(answers: boolean, detail: string): void {
    this.#answers = answers
    this.#detail = detail
    this.#spec.opened(answers)
  }

  #watch(store: OpenKeyStore): void {
    this.#next = setTimeout(async () => {
      const before = this.#detail
      const late = setTimeout(() => this.#say(false, 'the token does not answer'), this.#times.pingMs)
      try {
        await store.ping()
      } catch (err) {
        // When it is more than this one call, the agent tells that it is lost.
        this.#spec.log.warn({ err }, 'the ping of the key store failed')
      } finally {
        clearTimeout(late)
      }
      if (this.#store !== store || this.#ended) return
      if (!this.#answers) this.#say(true, before)
      this.#watch(store)
    }, this.#times.pingEveryMs)
  }

  #lost(store: OpenKeyStore, why: AppError): void {
    if (this.#store !== store || this.#ended) return
    this.#store = null
    clearTimeout(this.#next)
    this.#say(false, `lost: ${why.message}`)
    const { log } = this.#spec
    log.error({ err: why }, 'the key store is lost')
    // An agent that hangs is not waited for.
    store.close().catch((err) => log.warn({ err }, 'closing the lost key store failed'))
    if (performance.now() - this.#openedAt >= this.#times.steadyMs) this.#backOff = this.#times.firstBackOffMs
    if (isPinRejected(why)) this.#seal(why)
    else this.#reopenLater()
  }

  #reopenLater(): void {
    const waitMs = this.#backOff
    this.#backOff = Math.min(waitMs * 2, this.#times.lastBackOffMs)
    this.#next = setTimeout(async () => {
      const { log } = this.#spec
      try {
        await this.open()
        log.info({ identity: this.#store?.token }, 'the key store is open again')
      } catch (thrown) {
        if (this.#ended) return
        log.warn({ err: thrown, nextMs: this.#backOff }, 'the key store cannot be opened')
        this.#say(false, `lost: ${messageOf(thrown)}`)
        if (isPinRejected(thrown)) this.#seal(thrown)
        else this.#reopenLater()
      }
    }, waitMs)
  }

  #seal(why: AppError): void {
    this.#say(false, 'sealed: PIN rejected')
    this.#spec.pinRejected(why)
  }
}

function unavailable(why: string, cause?: unknown): AppError {
  return new AppError('service-unavailable', `The key store is not available (${why}).`, {
    cure: 'The KMS opens it again by itself; if this stays, run `vtl verify` on its host.',
    cause
  })
}

function isUnavailable(thrown: unknown): thrown is AppError {
  return (
    thrown instanceof AppError &&
    (thrown.code === 'key-store-unavailable' || thrown.code === 'pin-rejected' || thrown.code === 'deadline-exceeded')
  )
}

function isPinRejected(thrown: unknown): thrown is AppError {
  return thrown instanceof AppError && thrown.code === 'pin-rejected'
}
