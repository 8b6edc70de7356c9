/**
 * A broker hears of a topic that was just made, or is just being taken away, a moment later than the controller: until then
 * metadata has "This server does not host this topic-partition" in it, and kafkajs makes that the error of the whole answer,
 * of all topics, ours or another's.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { AppError } from '../errors/app-error.ts'

const everyMs = 100
const times = 20

/** Asks again while the answer is that. @throws what is thrown else, and that, when it stays so for two seconds */
export async function untilKnown<T>(work: () => Promise<T>, betweenMs = everyMs): Promise<T> {
  for (let left = times; ; left--) {
    try {
      return await work()
    } catch (thrown) {
      if (left === 0 || !isUnknown(thrown)) throw thrown
      await pause(betweenMs)
    }
  }
}

export const isUnknown = (thrown: unknown): boolean => thrown instanceof AppError && thrown.code === 'not-found'
