/** Two applies at once on one state folder: one works, the other says who does and since when, and changes nothing. */
import type { Ended, Keyscaler } from '../testing/keyscaler.ts'
import type { InstallWorld } from '../testing/world.ts'

export interface Race {
  /** Empty: one winner, one loser that named it. */
  readonly problems: readonly string[]
}

/**
 * Starts both in the same moment and waits until each has come to its end: the winner stays until it is stopped.
 * @param kill true: the winner is killed then, so that the next race is for the lock of a dead one
 */
export async function race(world: InstallWorld, answers: string, kill: boolean): Promise<Race> {
  const start = () => world.apply(answers, '--only', 'welcome', '--no-input')
  const racers = [start(), start()] as const
  const outcomes = await Promise.all(racers.map((racer) => outcomeOf(racer)))
  for (const [at, racer] of racers.entries()) {
    if (outcomes[at] === 'works') await (kill ? racer.kill() : racer.stop())
  }
  const winner = outcomes.indexOf('works')
  const loser = outcomes[1 - winner]
  const words = outcomes.map((outcome) => (outcome === 'works' ? outcome : `${outcome?.code}: ${outcome?.stderr}`))
  if (winner === -1 || loser === 'works' || loser === undefined) return { problems: [`ended: ${words.join(' / ')}`] }
  const named = new RegExp(`Another keyscaler \\(pid ${racers[winner]?.pid}, since 20`).test(loser.stderr)
  return { problems: loser.code === 7 && named ? [] : [`the loser said: ${words[1 - winner]}`] }
}

async function outcomeOf(racer: Keyscaler): Promise<'works' | Ended> {
  const works = racer.said(/^\{/).then(() => 'works' as const)
  works.catch(() => {})
  return Promise.race([works, racer.ended])
}
