/** The agent's calls as jobs for its threads: which key is meant, and what may be tried once more. */
import { AgentKeys, type CalledKey } from './agent-keys.ts'
import { AgentRefusal, problemOf } from './agent-problem.ts'
import type { AgentAnswer, AgentCall, AgentOperations, AgentProblem } from './agent-protocol.ts'
import { JobRefused, type ThreadHandle } from './agent-thread-handle.ts'
import type { AgentThreads, UnsignedCall } from './agent-threads.ts'
import type { KeyRef, KeySpec } from './keystore.ts'
import { dataIn, keyIn, type SignCall } from './sign-frames.ts'
import { signInput } from './signature.ts'
import { unpooled } from './unpooled.ts'

const generalError = 0x05
const mostGeneralErrors = 3

export class AgentCalls {
  readonly #threads: AgentThreads
  readonly #report: (answer: AgentAnswer) => void
  readonly #keys: AgentKeys
  readonly #making = new Set<string>()
  /** Since the last call that went well. */
  #generalErrors = 0
  #releasedBefore = 0

  /** @param report is given the answers to signatures that did not go over the desk */
  constructor(threads: AgentThreads, report: (answer: AgentAnswer) => void) {
    this.#threads = threads
    this.#report = report
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

  /** Over the desk when it can be; what goes wrong there takes the way of a single call. */
  sign({ call, body }: SignCall): void {
    const { id, algorithm } = keyIn(body)
    const key = this.#keys.known(id)
    const fits = key !== null && key.publicKey !== null && key.ref.algorithm === algorithm
    if (!fits || !this.#threads.sign(key.found, call, signInput(key.ref, dataIn(body)), body)) {
      this.#signAlone(call, body)
    }
  }

  unsigned({ call, key, body, problem, again }: UnsignedCall): void {
    if (again) {
      this.#keys.forget(keyIn(body).id, key)
      this.#signAlone(call, body)
    } else this.#report({ call, ok: false, problem: this.#judged(problem) })
  }

  #signAlone(call: number, body: Buffer): void {
    const ask = { ...keyIn(body), data: unpooled(dataIn(body)) }
    void this.answer({ call, op: 'sign', ask }).then(this.#report)
  }

  /** One unspecified error says nothing about the next call, three in a row do; of C_Decrypt it is what SoftHSM says to a wrong tag. */
  #judged(problem: AgentProblem): AgentProblem {
    const { failure } = problem
    if (failure?.code !== generalError || failure.call === 'C_Decrypt') return problem
    // Signatures of the desk do not pass here.
    const { released } = this.#threads
    if (released !== this.#releasedBefore) this.#generalErrors = 0
    this.#releasedBefore = released
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
      case 'isEmpty':
        return this.#threads.run('isEmpty', ask)
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
    return this.#threads.run('sign', { key: number, data: unpooled(ask.data) }, key.found, on)
  }

  /** Every operation here may be repeated: nothing is created or destroyed by it. */
  async #withKey<T>(id: string, use: (key: CalledKey, on: ThreadHandle | null) => Promise<T>): Promise<T> {
    const key = this.#keys.known(id) ?? (await this.#keys.get(id))
    try {
      return await use(key, null)
    } catch (thrown) {
      const again = againAfter(thrown)
      this.#keys.forget(id, key.number)
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
