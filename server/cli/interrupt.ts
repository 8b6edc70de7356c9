/** Ctrl-C: while a job works, the first one cancels it at its next safe point; one more ends at once. */
import type { Install } from '../install/install.ts'

/** As a shell has it for an interrupted program. */
export const interrupted = 130

export interface Interrupt {
  /** Settles when it came while nothing worked: an order to end, as SIGTERM is. */
  readonly asked: Promise<void>
  /** A job was cancelled by it. */
  readonly cancelled: () => boolean
}

export function onInterrupt(install: () => Pick<Install, 'jobs'> | null, say: (line: string) => void): Interrupt {
  const asked = Promise.withResolvers<void>()
  let came = false
  let cancelled = false
  process.on('SIGINT', () => {
    if (came) {
      say('Ended at once. What runs goes on running; the next run takes it up.')
      process.exit(interrupted)
    }
    came = true
    const jobs = install()?.jobs
    const running = jobs?.running() ?? null
    if (jobs === undefined || running === null) return asked.resolve()
    cancelled = true
    jobs.cancel(running.id).catch(() => asked.resolve()) // It has ended meanwhile.
  })
  return { asked: asked.promise, cancelled: () => cancelled }
}
