/** A deadline of our own around a library that may never call back. */
import { AppError } from '../errors/app-error.ts'

/** @throws AppError deadline-exceeded after `ms`; what `work` is still doing goes on unheard. */
export async function within<T>(ms: number, what: string, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new AppError('deadline-exceeded', `No answer within ${ms / 1000} s (${what}).`))
    }, ms)
  })
  const done = work()
  // Lost the race: its late rejection must not take the process down.
  done.catch(() => {})
  try {
    return await Promise.race([done, late])
  } finally {
    clearTimeout(timer)
  }
}
