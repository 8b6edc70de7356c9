/** What a suite came to. A failure or a skip is one line: where, what, why. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures: readonly string[]
  readonly skips: readonly string[]
}

export const nothing: Tally = { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] }

export function total(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (sum, tally) => ({
      passed: sum.passed + tally.passed,
      failed: sum.failed + tally.failed,
      skipped: sum.skipped + tally.skipped,
      failures: [...sum.failures, ...tally.failures],
      skips: [...sum.skips, ...tally.skips]
    }),
    nothing
  )
}

/** The closing line that machines read. */
export function tallyLine(tally: Tally): string {
  const counts = `${tally.passed} passed, ${tally.failed} failed`
  return tally.skipped === 0 ? counts : `${counts}, ${tally.skipped} skipped`
}
