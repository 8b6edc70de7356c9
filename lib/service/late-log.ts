/** A log of warnings that is made when there is one: of a request, and of a command that ends soon. */
import type { FastifyBaseLogger } from 'fastify'
import type { Bindings, ChildLoggerOptions } from 'pino'

type Say = (this: FastifyBaseLogger, ...said: unknown[]) => void

/** Made only when it has something to say: each child of pino writes its bindings and builds its methods anew, at a twentieth of a request. */
class LateLog implements FastifyBaseLogger {
  readonly level = 'warn'
  readonly #make: () => FastifyBaseLogger
  #made: FastifyBaseLogger | undefined

  constructor(make: () => FastifyBaseLogger) {
    this.#make = make
  }

  get #log(): FastifyBaseLogger {
    this.#made ??= this.#make()
    return this.#made
  }

  fatal(...said: unknown[]): void {
    const say: Say = this.#log.fatal
    say.apply(this.#log, said)
  }

  error(...said: unknown[]): void {
    const say: Say = this.#log.error
    say.apply(this.#log, said)
  }

  warn(...said: unknown[]): void {
    const say: Say = this.#log.warn
    say.apply(this.#log, said)
  }

  info(): void {}

  debug(): void {}

  trace(): void {}

  silent(): void {}

  child(...given: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger {
    return this.#log.child(...given)
  }
}

/** @param make is called when it has a warning or worse to say; it is never asked for less */
export function lateLog(make: () => FastifyBaseLogger): FastifyBaseLogger {
  return new LateLog(make)
}

/** Options of a route that logs warnings and worse only. */
export const warnsOnly = {
  logLevel: 'warn',
  childLoggerFactory: (logger: FastifyBaseLogger, bindings: Bindings, options: ChildLoggerOptions): FastifyBaseLogger =>
    lateLog(() => logger.child(bindings, options))
} as const
