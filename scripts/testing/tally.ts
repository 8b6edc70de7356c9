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

/** What was skipped, counted, and the closing line that machines read: the same words whatever was skipped. */
export function closingLines({ passed, failed, skipped }: Tally): string {
  const counts = `${passed} passed, ${failed} failed`
  return skipped === 0 ? counts : `${skipped} skipped\n${counts}`
}
