/**
 * A broker hears of a topic that was just made, or is just being taken away, a moment later than the controller: until then
 * metadata has "This server does not host this topic-partition" in it, and kafkajs makes that the error of the whole answer,
 * of all topics, ours or another's; and a record for it is refused.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isPassing } from './errors.ts'

const patienceMs = 2000

/** Asks again while the answer is that. @throws what is thrown else, and that, when it stays so for two seconds */
export async function untilKnown<T>(work: () => Promise<T>, everyMs = 100): Promise<T> {
  for (let left = Math.ceil(patienceMs / everyMs); ; left--) {
    try {
      return await work()
    } catch (thrown) {
      if (left === 0 || !isPassing(thrown)) throw thrown
      await pause(everyMs)
    }
  }
}
