/** Our end of the hsm-agent: starts it, lets it log in once through the gate, and sends it batches of calls. */
import { Socket } from 'node:net'
import { AppError } from '../errors/app-error.ts'
import type { AgentCall, AgentOperation, AgentOperations, AgentStart, FromAgent, ToAgent } from './agent-protocol.ts'
import { CallQueue } from './call-queue.ts'
import { Countdown } from './countdown.ts'
import type { TokenIdentity } from './keystore.ts'
import { type LoginGate, loginOutcome } from './login-gate.ts'
import type { ModuleChild } from './module-child.ts'
import { callRefused, loginRefused, moduleEnded } from './open-problems.ts'
import type { KeyStoreProfile } from './profiles/profile.ts'
import { encodeCalls, FrameReader, noCall, signPipes } from './sign-frames.ts'

export interface AgentOptions {
  readonly profile: KeyStoreProfile
  readonly gate: LoginGate
  /** Time to open, without waiting for other logins; milliseconds. */
  readonly openDeadlineMs: number
  /** Time for one call; milliseconds. */
  readonly callDeadlineMs: number
  readonly onStep?: ((step: string) => void) | undefined
  /** The agent is gone and was not closed by us; told once. */
  readonly onLost?: ((why: AppError) => void) | undefined
}

const closeDeadlineMs = 3_000
const mostCallNumber = 0xffffffff
/** The agent tells of a call that hangs; when it says nothing at all after this much more, it hangs itself. */
const silenceMoreMs = 1_000

export class AgentClient {
  readonly #options: AgentOptions
  readonly #child: ModuleChild
  readonly #queue: CallQueue
  readonly #signCalls: Socket
  #handling = Promise.resolve()
  #number = 0
  #sessions = 0
  #step = 'load'
  #loginOpen = false
  #state: 'opening' | 'open' | 'closing' | 'over' = 'opening'
  #opened: PromiseWithResolvers<TokenIdentity> = Promise.withResolvers()
  #closed = Promise.withResolvers<void>()
  #noMoreAnswers = Promise.withResolvers<void>()
  #clock: Countdown | undefined

  /** @param child its process, which nobody has spoken to yet (agent-ahead.ts) */
  constructor(child: ModuleChild, options: AgentOptions) {
    this.#options = options
    this.#child = child
    this.#signCalls = this.#pipe(signPipes.calls)
    const answers = new FrameReader((call, body) => {
      if (call === noCall) this.#noMoreAnswers.resolve()
      else this.#queue.signed(call, body)
    })
    this.#pipe(signPipes.answers).on('data', (piece) => {
      this.#queue.heard()
      answers.read(piece)
      this.#queue.sendSoon()
    })
    this.#queue = new CallQueue({
      send: (calls) => this.#ask(calls),
      silenceMs: options.callDeadlineMs + silenceMoreMs,
      onSilence: (ms) => this.#over(new AppError('deadline-exceeded', `The key store said nothing for ${ms} ms.`))
    })
    this.#child.process.on('message', (message: FromAgent) => {
      this.#queue.heard()
      this.#handling = this.#handling
        .then(() => this.#handle(message))
        .catch((error: unknown) => this.#over(asAppError(error)))
    })
    void this.#child.gone.then(async (end) => {
      await this.#handling
      this.#closed.resolve()
      this.#noMoreAnswers.resolve()
      this.#over(moduleEnded(this.#step, end))
    })
  }

  /** How many sessions do the work. */
  get sessions(): number {
    return this.#sessions
  }

  /** @throws AppError pin-rejected, conflict, not-found, key-store-unavailable, deadline-exceeded */
  async open(request: AgentStart): Promise<TokenIdentity> {
    const { openDeadlineMs: ms } = this.#options
    const hung = () => new AppError('deadline-exceeded', `The library did not answer within ${ms} ms (${this.#step}).`)
    this.#clock = new Countdown(ms, () => this.#over(hung()))
    this.#send({ kind: 'open', request })
    try {
      return await this.#opened.promise
    } finally {
      this.#clock.stop()
      if (this.#loginOpen) {
        this.#loginOpen = false
        await this.#options.gate.answered('lost')
      }
    }
  }

  ask<Op extends AgentOperation>(op: Op, ask: AgentOperations[Op]['ask']): Promise<AgentOperations[Op]['answer']> {
    // Never noCall, and small enough for a frame.
    this.#number = (this.#number % mostCallNumber) + 1
    const call = { call: this.#number, op, ask } as AgentCall
    return this.#queue.ask(call) as Promise<AgentOperations[Op]['answer']>
  }

  /** What is under way is answered first, as far as it comes; then C_Finalize; then the process is gone. */
  async close(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.#send({ kind: 'close' })
      const late = setTimeout(() => this.#child.kill(), closeDeadlineMs)
      await Promise.all([this.#closed.promise, this.#noMoreAnswers.promise])
      clearTimeout(late)
    }
    this.#over(new AppError('key-store-unavailable', 'The key store was closed.'))
    await this.#child.gone
  }

  async #handle(message: FromAgent): Promise<void> {
    switch (message.kind) {
      case 'step':
        this.#step = message.step
        return this.#options.onStep?.(message.step)
      case 'may-i-log-in':
        return await this.#permit(message)
      case 'login-answered':
        this.#loginOpen = false
        return await this.#options.gate.answered(loginOutcome(message.failure))
      case 'not-opened':
        return this.#over(callRefused(this.#options.profile, message.failure))
      case 'opened':
        this.#state = 'open'
        return this.#opened.resolve(message.token)
      case 'sessions':
        this.#sessions = message.count
        return this.#queue.sessions(message.count)
      case 'alive':
        return
      case 'hung': {
        const { op, ms } = message
        return this.#over(new AppError('deadline-exceeded', `The key store did not answer within ${ms} ms (${op}).`))
      }
      case 'answers': {
        this.#queue.answered(message.answers)
        const fatal = message.answers.find((answer) => !answer.ok && answer.problem.fatal)
        if (fatal !== undefined && !fatal.ok) this.#over(new AppError(fatal.problem.code, fatal.problem.detail))
        return
      }
      case 'closed':
        return this.#closed.resolve()
    }
  }

  async #permit({ choice, madeNow }: Extract<FromAgent, { kind: 'may-i-log-in' }>): Promise<void> {
    this.#clock?.pause()
    const answer = await this.#options.gate.ask(choice, madeNow)
    this.#clock?.resume()
    if ('refusal' in answer) return this.#over(loginRefused(answer.refusal, choice))
    if (!this.#child.process.connected) return await this.#options.gate.answered('undecided')
    this.#loginOpen = true
    this.#send({ kind: 'login', pin: answer.pin })
  }

  /** The end, whatever the reason: kills the group, rejects what waits. Only the first reason counts. */
  #over(why: AppError): void {
    const before = this.#state
    if (before === 'over') return
    this.#state = 'over'
    this.#child.kill()
    this.#clock?.stop()
    this.#queue.breakOff(why, new AppError('key-store-unavailable', why.message, { cause: why }))
    if (before === 'opening') this.#opened.reject(why)
    if (before === 'open') this.#options.onLost?.(why)
  }

  #ask(calls: readonly AgentCall[]): void {
    const signs = calls.filter(isSign)
    if (signs.length > 0) this.#signCalls.write(encodeCalls(signs))
    const others = calls.filter((call) => !isSign(call))
    if (others.length > 0) this.#send({ kind: 'calls', calls: others })
  }

  /** @throws Error when the agent could not be started at all */
  #pipe(fd: number): Socket {
    const pipe = this.#child.process.stdio[fd]
    if (!(pipe instanceof Socket)) throw new Error('the agent has no such pipe')
    // An agent that is gone is noticed by its end.
    pipe.on('error', () => undefined)
    return pipe
  }

  #send(message: ToAgent): void {
    // An agent that is gone is noticed by its end.
    if (this.#child.process.connected) this.#child.process.send(message, () => undefined)
  }
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError('internal', 'The key store could not be opened.', { cause: error })
}

function isSign(call: AgentCall): call is Extract<AgentCall, { op: 'sign' }> {
  return call.op === 'sign'
}
