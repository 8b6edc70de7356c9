/** A job that failed, as the thread answers it. */
import { isWorthAnotherTry, problemOf } from './agent-problem.ts'
import type { AgentProblem } from './agent-protocol.ts'
import type { JobName } from './agent-thread-protocol.ts'
import { KeyForgotten } from './agent-work.ts'

export interface Refusal {
  readonly problem: AgentProblem
  /** With the key looked up again it may succeed. */
  readonly again: boolean
}

export function refusal(op: JobName, thrown: unknown): Refusal {
  if (thrown instanceof KeyForgotten) {
    const problem = { code: 'internal', detail: 'The key changed.', cure: '', failure: null, fatal: false } as const
    return { problem, again: true }
  }
  const problem = problemOf(op, thrown)
  return { problem, again: isWorthAnotherTry(problem) }
}
