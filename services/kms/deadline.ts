import { AppError } from '../../lib/errors/app-error.ts'

/** The promise's outcome, or after `ms` AppError deadline-exceeded; what comes later is dropped. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AppError('deadline-exceeded', `${what} (${ms} ms)`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
