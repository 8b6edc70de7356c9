/** The agent's calls as jobs for its threads: which key is meant, and what may be tried once more. */
import { AgentKeys, type CalledKey } from './agent-keys.ts'
import { AgentRefusal, problemOf } from './agent-problem.ts'
import type { AgentAnswer, AgentCall, AgentOperations, AgentProblem, SignCalls, SignedCalls } from './agent-protocol.ts'
import { JobRefused, type ThreadHandle } from './agent-thread-handle.ts'
import type { AgentThreads } from './agent-threads.ts'
import type { KeyRef, KeySpec } from './keystore.ts'
import { pack, unpack } from './packed.ts'
import { signInput, verifiedSignature } from './signature.ts'
import { unpooled } from './unpooled.ts'

const generalError = 0x05
const mostGeneralErrors = 3

export interface SignReport {
  readonly answered: (answer: AgentAnswer) => void
  readonly signed: (signed: SignedCalls) => void
}

export class AgentCalls {
  readonly #threads: AgentThreads
  readonly #keys: AgentKeys
  readonly #making = new Set<string>()
  /** Since the last call that went well. */
  #generalErrors = 0

  constructor(threads: AgentThreads) {
    this.#threads = threads
    this.#keys = new AgentKeys(threads)
  }

  async answer(call: AgentCall): Promise<AgentAnswer> {
    try {
      const value = await this.#run(call)
      // A ping says little about keys.
      if (call.op !== 'ping') this.#generalErrors = 0
      return { call: call.call, ok: true, value }
    } catch (thrown) {
      const problem = thrown instanceof JobRefused ? thrown.problem : problemOf(call.op, thrown)
      return { call: call.call, ok: false, problem: this.#judged(problem) }
    }
  }

  /**
   * Many signatures with one key, in jobs of several when they are quick. What goes wrong in such a job, or is left over, takes
   * the way of a single call.
   */
  sign({ calls, id, algorithm, data }: SignCalls, report: SignReport): void {
    const parts = unpack(data)
    const key = this.#keys.known(id)
    const single = (from: number, to: number) => {
      for (let index = from; index < to; index++) {
        const [call, part] = [calls[index], parts[index]]
        if (call === undefined || part === undefined) continue
        void this.answer({ call, op: 'sign', ask: { id, algorithm, data: part } }).then(report.answered)
      }
    }
    const size =
      this.#threads.threadsVerify && key?.ref.algorithm === algorithm ? this.#threads.signsInJob(calls.length) : 1
    if (key === null || size === 1) {
      single(0, calls.length)
      return
    }
    for (let from = 0; from < calls.length; from += size) {
      const to = Math.min(from + size, calls.length)
      const job = { calls: calls.slice(from, to), data: pack(parts.slice(from, to)) }
      void this.#signMany(key, job, report).then((done) => single(from + done, to))
    }
  }

  /** How many calls were answered: the rest is to be done yet. */
  async #signMany(
    key: CalledKey,
    { calls, data }: Pick<SignCalls, 'calls' | 'data'>,
    report: SignReport
  ): Promise<number> {
    const { signatures, refused } = await this.#threads.run('signMany', { key: key.number, data }, key.found)
    const done = signatures.lengths.length
    if (done > 0) {
      this.#generalErrors = 0
      report.signed({ calls: calls.slice(0, done), signatures })
    }
    const call = calls[done]
    if (refused === null || call === undefined) return done
    if (refused.again) {
      this.#keys.forget(key)
      return done
    }
    report.answered({ call, ok: false, problem: this.#judged(refused.problem) })
    return done + 1
  }

  /** One unspecified error says nothing about the next call, three in a row do; of C_Decrypt it is what SoftHSM says to a wrong tag. */
  #judged(problem: AgentProblem): AgentProblem {
    const { failure } = problem
    if (failure?.code !== generalError || failure.call === 'C_Decrypt') return problem
    this.#generalErrors += 1
    return this.#generalErrors >= mostGeneralErrors ? { ...problem, fatal: true } : problem
  }

  #run({ op, ask }: AgentCall): Promise<AgentOperations[AgentCall['op']]['answer']> {
    switch (op) {
      case 'create':
        return this.#create(ask)
      case 'find':
        return this.#keys.find(ask.id).then((key) => key?.ref ?? null)
      case 'publicKey':
        return this.#publicKey(ask.id)
      case 'checkValue':
        return this.#withKey(ask.id, (key, on) => {
          if (key.ref.algorithm !== 'AES-256') {
            throw new AgentRefusal('invalid-input', `The key ${ask.id} has no check value.`, '')
          }
          return this.#threads.run('checkValue', { key: key.number }, key.found, on)
        })
      case 'sign':
        return this.#withKey(ask.id, (key, on) => this.#sign(key, ask, on))
      case 'random':
        return this.#random(ask)
      case 'destroy':
        return this.#destroy(ask.id)
      case 'ping':
        return this.#threads.run('ping', ask)
      case 'encrypt': {
        // Copies: what came over IPC are views of the whole message, and all of it would travel on.
        const bytes = { plaintext: unpooled(ask.plaintext), aad: unpooled(ask.aad) }
        return this.#withKey(ask.id, (key, on) =>
          this.#threads.run('encrypt', { key: key.number, ...bytes }, key.found, on)
        )
      }
      case 'decrypt': {
        const { mode, iv, data } = ask.sealed
        const sealed = { mode, iv: unpooled(iv), data: unpooled(data) }
        const aad = unpooled(ask.aad)
        return this.#withKey(ask.id, (key, on) =>
          this.#threads.run('decrypt', { key: key.number, sealed, aad }, key.found, on)
        )
      }
    }
  }

  #sign(key: CalledKey, ask: AgentOperations['sign']['ask'], on: ThreadHandle | null): Promise<Uint8Array> {
    const { ref, number, publicKey } = key
    if (ref.algorithm !== ask.algorithm || publicKey === null) {
      throw new AgentRefusal('invalid-input', `The key ${ref.id} is ${ref.algorithm}, not ${ask.algorithm}.`, '')
    }
    const { data } = ask
    if (this.#threads.threadsVerify) {
      return this.#threads.run('sign', { key: number, data: unpooled(data) }, key.found, on)
    }
    const input = unpooled(signInput(ref, data))
    return this.#threads
      .run('signRaw', { key: number, input }, key.found, on)
      .then((raw) => verifiedSignature(ref, publicKey, data, raw))
  }

  /** Every operation here may be repeated: nothing is created or destroyed by it. */
  async #withKey<T>(id: string, use: (key: CalledKey, on: ThreadHandle | null) => Promise<T>): Promise<T> {
    const key = this.#keys.known(id) ?? (await this.#keys.get(id))
    try {
      return await use(key, null)
    } catch (thrown) {
      const again = againAfter(thrown)
      this.#keys.forget(key)
      const fresh = await this.#keys.get(id)
      return await onAnother(use(fresh, again.on), () => use(fresh, null))
    }
  }

  async #random(ask: AgentOperations['random']['ask']): Promise<Uint8Array> {
    const draw = (on: ThreadHandle | null) => this.#threads.run('random', ask, null, on)
    try {
      return await draw(null)
    } catch (thrown) {
      return await onAnother(draw(againAfter(thrown).on), () => draw(null))
    }
  }

  async #publicKey(id: string) {
    const { jwk } = (await this.#keys.get(id)).found
    if (jwk === null) throw new AgentRefusal('invalid-input', `The key ${id} has no public half.`, '')
    return jwk
  }

  async #create(spec: KeySpec): Promise<KeyRef> {
    const { id } = spec
    if (this.#making.has(id)) throw new AgentRefusal('conflict', `The key ${id} is being made.`, 'Use that key.')
    this.#making.add(id)
    try {
      // One look: whoever is not sure whether another process has made it waits before asking (finish-key.ts).
      if (await this.#threads.run('taken', { id })) {
        throw new AgentRefusal('conflict', `The token already has a key ${id}.`, 'Use the existing key.')
      }
      await this.#threads.run('generate', spec)
      return (await this.#keys.get(id)).ref
    } finally {
      this.#making.delete(id)
    }
  }

  async #destroy(id: string): Promise<boolean> {
    this.#keys.destroyed(id)
    const was = await this.#threads.run('destroy', { id })
    this.#keys.destroyed(id)
    return was
  }
}

/** @throws what was thrown, when it is not worth another try */
function againAfter(thrown: unknown): NonNullable<JobRefused['again']> {
  if (thrown instanceof JobRefused && thrown.again !== null) return thrown.again
  throw thrown
}

/** The second try, and a last one by another thread when this one has no session any more. */
function onAnother<T>(second: Promise<T>, last: () => Promise<T>): Promise<T> {
  return second.catch((thrown: unknown) => {
    if (againAfter(thrown).on === null) return last()
    throw thrown
  })
}
