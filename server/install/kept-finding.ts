/** Findings as they are kept with answers: an install record says when a check was made. */
import type { Finding } from '../checks/check.ts'
import type { Watcher } from './submit.ts'

/** As it is kept with the answers. */
export interface KeptFinding extends Finding {
  /** When it was told. */
  readonly at: string
}

/** Findings are kept with the time at which each was told: an install record says when a check was made. */
export function toldAt(watch: Watcher) {
  const times = new Map<string, string>()
  const now = () => new Date().toISOString()
  return {
    watch: {
      ...watch,
      finding: (finding: Finding) => {
        times.set(finding.id, now())
        watch.finding?.(finding)
      }
    },
    timed: (findings: readonly Finding[]): readonly KeptFinding[] =>
      findings.map((finding) => ({ ...finding, at: times.get(finding.id) ?? now() }))
  }
}
