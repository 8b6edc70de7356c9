/** A deadline of our own around a library that may never call back. */
import { AppError } from '../errors/app-error.ts'

/**
 * Written out rather than raced and awaited: each request passes here twice, and a race makes six promises of one.
 * @throws AppError deadline-exceeded after `ms`; what `work` is still doing goes on unheard, its late rejection too
 */
export function within<T>(ms: number, what: string, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new AppError('deadline-exceeded', `No answer within ${ms / 1000} s (${what}).`))
    }, ms)
    const fail = (thrown: unknown) => {
      clearTimeout(timer)
      reject(thrown)
    }
    try {
      work().then((done) => {
        clearTimeout(timer)
        resolve(done)
      }, fail)
    } catch (thrown) {
      fail(thrown)
    }
  })
}
