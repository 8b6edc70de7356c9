/** The way of a thread's signatures out of the agent: some together in one write, none held for long. */
import { writeSync } from 'node:fs'
import type { SignDesk } from './sign-desk.ts'
import { SignAnswers, signPipes } from './sign-frames.ts'

/** A write costs a tenth of a signature of a fast token, so it may wait this long for the next one. */
const heldMs = 2

export class AgentAnswers {
  readonly #desk: SignDesk
  readonly #answers = new SignAnswers()
  /** Slots of what is held. */
  #held: number[] = []
  #flushedAt = 0

  constructor(desk: SignDesk) {
    this.#desk = desk
  }

  add(slot: number, signature: Uint8Array): void {
    const call = this.#desk.callOf(slot)
    if (!this.#answers.add(call, signature)) {
      this.flush()
      this.#answers.add(call, signature)
    }
    this.#held.push(slot)
    if (performance.now() - this.#flushedAt > heldMs) this.flush()
  }

  /** Blocks while nobody reads; calls under way are bounded, so that all their answers fit into the pipe. */
  flush(): void {
    if (this.#held.length === 0) return
    const bytes = this.#answers.take()
    for (let at = 0; at < bytes.length; ) at += writeSync(signPipes.answers, bytes, at)
    for (const slot of this.#held) this.#desk.release(slot)
    this.#held = []
    this.#flushedAt = performance.now()
  }
}
