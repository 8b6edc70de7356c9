import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * leven is loaded when something was mistyped, not before.
 * @param maxDistance letters that may differ; absent: the nearest one, however far
 * @returns ` Did you mean x?`, or nothing when no known name is near
 */
export function didYouMean(typed: string, known: readonly string[], maxDistance = Number.POSITIVE_INFINITY): string {
  const closest = closestName(typed, known, maxDistance)
  return closest === undefined ? '' : ` Did you mean ${closest}?`
}

/** A third of the letters may differ: enough for a slip, too little for another word. */
export function meant(typed: string, known: readonly string[]): string {
  return didYouMean(typed, known, aThird(typed))
}

/** Undefined: no known name is near. */
export function closestName(typed: string, known: readonly string[], maxDistance = aThird(typed)): string | undefined {
  const { closestMatch }: typeof import('leven') = require('leven')
  return closestMatch(typed, known, { maxDistance })
}

function aThird(typed: string): number {
  return Math.max(1, Math.floor(typed.length / 3))
}
