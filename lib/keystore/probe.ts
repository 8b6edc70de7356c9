/**
 * Gathers facts about a key store in a one-shot child, so that a library that hangs, crashes, exits or prints harms
 * nobody. Facts only: what they mean is judged by the check that asked.
 */
import type { CallFailure } from './ckr-error.ts'
import { inspectModuleFile } from './elf.ts'
import { readHaGroups } from './ha-groups.ts'
import type { KeyStoreConfig } from './keystore.ts'
import { type LoginGate, loginOutcome } from './login-gate.ts'
import { type ModuleChild, type ServiceUser, startModuleChild } from './module-child.ts'
import { moduleStart } from './module-start.ts'
import { inspectNssFolder, withScratchFolder } from './nss-folder.ts'
import { ProbeClock } from './probe-clock.ts'
import type { FromProbeChild, ProbeFacts, ProbeRequest, ProbeStep, Stopped, ToProbeChild } from './probe-messages.ts'
import { profileOf } from './profiles/registry.ts'
import type { TokenChoice } from './token-facts.ts'
import { takeTurn } from './turns.ts'

export interface ProbeOptions {
  /** Time for everything but waiting for a turn; the profile's by default. Each step has its share of it. Milliseconds. */
  readonly deadlineMs?: number | undefined
  /** Each step as it begins: the last one told is the one that is being waited for. */
  readonly onStep?: ((step: ProbeStep) => void) | undefined
  /** What is known so far, whenever there is more of it, and the step that is being done. What it throws ends the probe. */
  readonly onFacts?: ((facts: ProbeFacts, step: ProbeStep) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** Without it nobody logs in. */
  readonly login?: LoginGate | undefined
  /** The user that the KMS will run as; absent: the one that asks. Becomes him only where this process may (root). */
  readonly runAs?: ServiceUser | undefined
  /** CKA_ID, hex: look after a login whether this key is there, and which it is. */
  readonly masterKey?: string | undefined
}

/**
 * Loads the library in a child and answers what was found; never throws for what is wrong with library or token.
 * A store of NSS that does not exist yet is tried out in a scratch folder; one that exists is opened read-only.
 * @throws AppError invalid-input for an unsafe NSS folder, not-found when NSS is not installed; the signal's reason while waiting
 */
export async function probeToken(config: KeyStoreConfig, options: ProbeOptions = {}): Promise<ProbeFacts> {
  const { onStep, onFacts, signal } = options
  onStep?.('file')
  const folder = config.profile === 'nss' ? await inspectNssFolder(config.folder) : null
  const start = moduleStart(config, 'read')
  const file = await inspectModuleFile(start.module)
  const haGroups = config.profile === 'nss' ? [] : await readHaGroups(config.confPath ?? usualConfFolder)
  const known = { ...noFacts, file, folder, haGroups }
  const unusableFolder = folder?.exists === true && folder.fresh && !folder.writable
  if (file.problem !== null || unusableFolder) return known
  const { mechanisms: choices } = profileOf(config)
  const { masterKey = null } = options
  const request = { start, choices, login: options.login !== undefined, initialize: false, masterKey }
  onStep?.('turn')
  onFacts?.(known, 'turn')
  return await takeTurn(
    start.module,
    async () => {
      if (config.profile !== 'nss' || folder?.fresh !== true)
        return await new Probe(known, config, options).run(request)
      return await withScratchFolder(async (scratch) => {
        const inScratch = moduleStart({ ...config, folder: scratch }, 'write')
        return await new Probe(known, config, options).run({ ...request, start: inScratch, initialize: true })
      }, options.runAs)
    },
    signal
  )
}

/** Where the client looks for Chrystoki.conf when the environment names no folder. */
const usualConfFolder = '/etc'

const noFacts = {
  ranAs: null,
  library: null,
  unusableSlots: [],
  slots: [],
  choice: null,
  mechanisms: [],
  login: null,
  roundTrips: [],
  keyWraps: [],
  masterKey: null,
  ivMode: null,
  canCreateTokenObjects: null,
  times: [],
  stopped: null,
  lastWords: ''
} satisfies Partial<ProbeFacts>

/** One run of the child. */
class Probe {
  readonly #options: ProbeOptions
  readonly #deadlineMs: number
  #facts: ProbeFacts
  #step: ProbeStep = 'load'
  #stepBegan = performance.now()
  #scratch = false
  #secret = ''
  /** C_Login was allowed and its answer has not come. */
  #loginOpen = false

  constructor(known: ProbeFacts, config: KeyStoreConfig, options: ProbeOptions) {
    this.#facts = known
    this.#options = options
    this.#deadlineMs = options.deadlineMs ?? profileOf(config).deadlineMs(known.file.path)
  }

  async run(request: ProbeRequest): Promise<ProbeFacts> {
    const { signal } = this.#options
    this.#scratch = request.initialize
    const child = startModuleChild(
      new URL('./probe-child.ts', import.meta.url),
      request.start.environment,
      this.#options.runAs
    )
    const hung = (ms: number): void => end({ step: this.#step, why: 'hung', ms })
    const clock = new ProbeClock(this.#deadlineMs, hung)
    let stopped: Stopped | null = null
    let ended = false
    const end = (why: Stopped | null): void => {
      if (!ended) stopped = why
      ended = true
      child.kill()
    }
    const onAbort = (): void => end({ step: this.#step, why: 'aborted' })
    signal?.addEventListener('abort', onAbort, { once: true })
    // Messages are handled one after the other: the guard's record of a login is written before the next one counts.
    let handling = Promise.resolve()
    let broken: unknown
    child.process.on('message', (message: FromProbeChild) => {
      if (message.kind === 'end') end(null)
      handling = handling
        .then(() => this.#handle(message, child, clock))
        .catch((error: unknown) => {
          broken ??= error
          end(null)
        })
    })
    send(child, { kind: 'request', request })
    const gone = await child.gone
    clock.stop()
    signal?.removeEventListener('abort', onAbort)
    await handling
    if (this.#loginOpen) await this.#options.login?.answered('lost')
    if (broken !== undefined) throw broken
    stopped = ended ? stopped : this.#died(gone.exitCode, gone.signal)
    stopped ??= this.#facts.stopped
    const times = stopped === null ? this.#facts.times : this.#timesUntil(stopped.step)
    const words = this.#secret === '' ? child.lastWords() : child.lastWords().replaceAll(this.#secret, '(removed)')
    return { ...this.#facts, times, stopped, lastWords: words }
  }

  async #handle(message: FromProbeChild, child: ModuleChild, clock: ProbeClock): Promise<void> {
    switch (message.kind) {
      case 'step':
        this.#step = message.step
        this.#stepBegan = performance.now()
        clock.enter(message.step)
        this.#options.onStep?.(message.step)
        return this.#told({})
      case 'done':
        return this.#told({ times: [...this.#facts.times, message.time] })
      case 'facts':
        return this.#told(message.facts)
      case 'may-i-log-in':
        return await this.#permit(message.choice, child, clock)
      case 'login-answered':
        return await this.#answered(message.failure)
    }
  }

  #told(more: Partial<ProbeFacts>): void {
    this.#facts = { ...this.#facts, ...more }
    // Why it stopped is told with how long that took, at the end.
    if (this.#facts.stopped === null) this.#options.onFacts?.(this.#facts, this.#step)
  }

  /** A step without an end took until now: what was waited for is the figure that counts. */
  #timesUntil(step: ProbeStep): ProbeFacts['times'] {
    const ms = Math.round((performance.now() - this.#stepBegan) * 10) / 10
    return [...this.#facts.times.filter((time) => time.step !== step), { step, ms }]
  }

  async #permit(choice: TokenChoice, child: ModuleChild, clock: ProbeClock): Promise<void> {
    clock.pause()
    const answer = await this.#options.login?.ask(choice, this.#scratch)
    clock.resume()
    if (answer === undefined) return
    if ('refusal' in answer) return send(child, { kind: 'no-login', refusal: answer.refusal })
    if (!child.process.connected) return await this.#options.login?.answered('undecided')
    this.#secret = answer.pin
    this.#loginOpen = true
    send(child, { kind: 'login', pin: answer.pin })
  }

  async #answered(failure: CallFailure | null): Promise<void> {
    if (!this.#loginOpen) return
    this.#loginOpen = false
    await this.#options.login?.answered(loginOutcome(failure))
  }

  #died(exitCode: number | null, signal: NodeJS.Signals | null): Stopped {
    if (signal !== null) return { step: this.#step, why: 'crashed', signal }
    return { step: this.#step, why: 'exited', exitCode: exitCode ?? -1 }
  }
}

function send(child: ModuleChild, message: ToProbeChild): void {
  // A child that is gone already is noticed by its end, not here.
  if (child.process.connected) child.process.send(message, () => undefined)
}
