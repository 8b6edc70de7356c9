/**
 * Where the agent's threads hand signatures to each other: slots in shared memory. Main puts calls in, whichever worker is free takes
 * the next one, and where one thread verifies for all, it takes what they signed. Nobody is sent a message, and nobody is woken who is
 * at work: with thousands of calls a second the messages cost more than the signatures.
 */

/** The memory, as threads are given it. */
export interface DeskMemory {
  /** How often each happened, modulo 2^32. */
  readonly counts: Int32Array
  /** The slots of calls that wait for a worker, and of signatures that wait for the verifier: rings with room for all slots. */
  readonly put: Int32Array
  readonly signed: Int32Array
  /** Of each slot. */
  readonly used: Int32Array
  readonly call: Uint32Array
  readonly key: Int32Array
  readonly bodyLength: Int32Array
  readonly inputLength: Int32Array
  readonly signatureLength: Int32Array
  readonly body: SharedArrayBuffer
  readonly input: SharedArrayBuffer
  readonly signature: SharedArrayBuffer
  /** Of each thread, the verifier being the last. A sleeping thread waits for a change of its word `wake`. */
  readonly wake: Int32Array
  readonly asleep: Int32Array
  /** Odd while the thread is in a call of the library. */
  readonly turns: Int32Array
  readonly rests: Int32Array
}

/** What is longer travels in a message. */
const mostBody = 2_048
/** A digest of SHA-384, or a DigestInfo of SHA-256. */
const mostInput = 64
const mostSignature = 512
const count = { put: 0, taken: 1, signed: 2, verified: 3, released: 4 } as const

/** @param workers at most. @param slots for calls under way; a power of two, since counts wrap around */
export function newDesk(workers: number, slots: number): SignDesk {
  const words = (length: number) => new Int32Array(new SharedArrayBuffer(length * 4))
  const threads = workers + 1
  return new SignDesk({
    counts: words(Object.keys(count).length),
    put: words(slots),
    signed: words(slots),
    used: words(slots),
    call: new Uint32Array(new SharedArrayBuffer(slots * 4)),
    key: words(slots),
    bodyLength: words(slots),
    inputLength: words(slots),
    signatureLength: words(slots),
    body: new SharedArrayBuffer(slots * mostBody),
    input: new SharedArrayBuffer(slots * mostInput),
    signature: new SharedArrayBuffer(slots * mostSignature),
    wake: words(threads),
    asleep: words(threads),
    turns: words(threads),
    // A worker that has not joined yet takes nothing either.
    rests: words(threads).fill(1)
  })
}

export class SignDesk {
  readonly memory: DeskMemory
  /** Main's: where it looks for a free slot. */
  #next = 0
  /** Views that were made before: making one costs as much as all the rest of handing a signature on. */
  readonly #inputs: Buffer[] = []
  readonly #rooms: Buffer[] = []
  /** Number of the verifier's thread. */
  readonly verifier: number

  constructor(memory: DeskMemory) {
    this.memory = memory
    this.verifier = memory.wake.length - 1
  }

  /** Signatures that were answered so far, modulo 2^32. */
  get released(): number {
    return Atomics.load(this.memory.counts, count.released)
  }

  get busy(): boolean {
    return this.memory.used.includes(1)
  }

  /**
   * Main only. False when there is no room for it.
   * @param key the number under which the workers know the key. @param input what the token is handed
   * @param body of the call's frame: what the verifier needs
   */
  put(call: number, key: number, input: Uint8Array, body: Uint8Array): boolean {
    const { used, put, counts } = this.memory
    const slot = this.#freeSlot()
    if (slot === null || body.length > mostBody) return false
    this.memory.call[slot] = call
    this.memory.key[slot] = key
    this.memory.bodyLength[slot] = body.length
    new Uint8Array(this.memory.body, slot * mostBody, body.length).set(body)
    this.memory.inputLength[slot] = input.length
    new Uint8Array(this.memory.input, slot * mostInput, input.length).set(input)
    Atomics.store(used, slot, 1)
    const at = Atomics.load(counts, count.put)
    Atomics.store(put, at & (put.length - 1), slot)
    Atomics.store(counts, count.put, at + 1)
    this.#wakeOne()
    return true
  }

  #wakeOne(): void {
    const { asleep } = this.memory
    for (let worker = 0; worker < this.verifier; worker++) {
      if (Atomics.compareExchange(asleep, worker, 1, 0) !== 1) continue
      this.wake(worker)
      return
    }
  }

  #freeSlot(): number | null {
    const { used } = this.memory
    for (let tries = 0; tries < used.length; tries++) {
      const slot = this.#next
      this.#next = (slot + 1) & (used.length - 1)
      if (Atomics.load(used, slot) === 0) return slot
    }
    return null
  }

  /** A worker only; null when no call waits. */
  take(): number | null {
    const { counts, put } = this.memory
    for (;;) {
      const at = Atomics.load(counts, count.taken)
      if (at === Atomics.load(counts, count.put)) return null
      const slot = Atomics.load(put, at & (put.length - 1))
      if (Atomics.compareExchange(counts, count.taken, at, (at + 1) | 0) === at) return slot
    }
  }

  callOf(slot: number): number {
    return this.memory.call[slot] ?? 0
  }

  keyOf(slot: number): number {
    return this.memory.key[slot] ?? 0
  }

  /** A view, good until the slot is left. */
  bodyOf(slot: number): Buffer {
    return Buffer.from(this.memory.body, slot * mostBody, this.memory.bodyLength[slot])
  }

  inputOf(slot: number): Buffer {
    const length = this.memory.inputLength[slot]
    const before = this.#inputs[slot]
    if (before !== undefined && before.length === length) return before
    const view = Buffer.from(this.memory.input, slot * mostInput, length)
    this.#inputs[slot] = view
    return view
  }

  /** Where the token puts its signature. */
  roomOf(slot: number): Buffer {
    const view = this.#rooms[slot] ?? Buffer.from(this.memory.signature, slot * mostSignature, mostSignature)
    this.#rooms[slot] = view
    return view
  }

  signatureOf(slot: number): Buffer {
    return this.roomOf(slot).subarray(0, this.memory.signatureLength[slot])
  }

  /** Leaves the signature that is in the slot to the verifier. */
  pass(slot: number, length: number): void {
    const { counts, signed, signatureLength, asleep, wake } = this.memory
    signatureLength[slot] = length
    const at = Atomics.add(counts, count.signed, 1)
    // Slots are named from 1 here: 0 is a place that was given away and is not filled yet.
    Atomics.store(signed, at & (signed.length - 1), slot + 1)
    Atomics.add(wake, this.verifier, 1)
    if (Atomics.load(asleep, this.verifier) === 1) Atomics.notify(wake, this.verifier)
  }

  /** The verifier only; null when nothing is there, or is not there yet, for which it will be woken. */
  takeSigned(): number | null {
    const { counts, signed } = this.memory
    const at = Atomics.load(counts, count.verified)
    const slot = Atomics.exchange(signed, at & (signed.length - 1), 0)
    if (slot === 0) return null
    Atomics.store(counts, count.verified, at + 1)
    return slot - 1
  }

  /** The call is answered. */
  release(slot: number): void {
    Atomics.add(this.memory.counts, count.released, 1)
    this.leave(slot)
  }

  /** Somebody else will answer the call. */
  leave(slot: number): void {
    Atomics.store(this.memory.used, slot, 0)
  }

  wake(thread: number): void {
    Atomics.add(this.memory.wake, thread, 1)
    Atomics.notify(this.memory.wake, thread)
  }

  /** To be read before looking for work: what is asked for later changes it. */
  wakes(thread: number): number {
    return Atomics.load(this.memory.wake, thread)
  }

  /** Until the thread is woken. @param seen the last of `wakes` */
  sleep(thread: number, seen: number, ms = Number.POSITIVE_INFINITY): void {
    Atomics.wait(this.memory.wake, thread, seen, ms)
  }

  /** @param seen the last of `wakes`, before it looked for signatures */
  sleepAsVerifier(seen: number): void {
    const { asleep } = this.memory
    Atomics.store(asleep, this.verifier, 1)
    this.sleep(this.verifier, seen)
    Atomics.store(asleep, this.verifier, 0)
  }

  /** Until a call is put in that nobody else takes, or the worker is woken. */
  sleepOrTake(worker: number, seen: number): void {
    const { asleep, counts } = this.memory
    Atomics.store(asleep, worker, 1)
    // Whoever puts a call in looks for sleepers afterwards: either it sees this one, or this one sees the call.
    const waiting = Atomics.load(counts, count.put) !== Atomics.load(counts, count.taken)
    if (!waiting) this.sleep(worker, seen)
    Atomics.store(asleep, worker, 0)
  }

  /** Before and after a call of the library. */
  turn(worker: number): void {
    Atomics.add(this.memory.turns, worker, 1)
  }

  turns(worker: number): number {
    return Atomics.load(this.memory.turns, worker)
  }

  /** A worker without a session leaves calls to the others, as long as there are others. */
  setResting(worker: number, rests: boolean): void {
    Atomics.store(this.memory.rests, worker, rests ? 1 : 0)
  }

  get allRest(): boolean {
    return this.memory.rests.every((rests) => rests === 1)
  }
}
