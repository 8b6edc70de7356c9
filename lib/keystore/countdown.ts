/** A deadline that can stand still while somebody else is being waited for. Milliseconds. */
export class Countdown {
  readonly #onEnd: () => void
  #left: number
  #since = 0
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number, onEnd: () => void) {
    this.#left = ms
    this.#onEnd = onEnd
    this.resume()
  }

  pause(): void {
    this.#left -= performance.now() - this.#since
    clearTimeout(this.#timer)
  }

  resume(): void {
    clearTimeout(this.#timer)
    this.#since = performance.now()
    this.#timer = setTimeout(this.#onEnd, Math.max(0, this.#left))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
