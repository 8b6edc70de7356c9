/** Progress is a pure function of the list of steps and the stored answers; nothing about it is stored. */
import type { DefinedStep } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import type { StoredAnswers } from './boot-file.ts'

export type StepState = 'done' | 'attention' | 'current' | 'later'

export interface StepProgress {
  readonly id: StepId
  readonly number: number
  readonly title: string
  readonly state: StepState
  /** Answers are kept but what they ask for is not finished (a kill in between): it is taken up again. */
  readonly pending: boolean
}

export type AnswersByStep = ReadonlyMap<StepId, StoredAnswers>

export function progressOf(steps: readonly DefinedStep[], answers: AnswersByStep): readonly StepProgress[] {
  const first = steps.findIndex((step) => !isDone(step, steps, answers))
  return steps.map((step, index) => {
    const stored = answers.get(step.id)
    const done = isDone(step, steps, answers)
    const state: StepState =
      index === first ? 'current' : done ? 'done' : stored !== undefined && index > first ? 'attention' : 'later'
    return {
      id: step.id,
      number: index + 1,
      title: step.title,
      state,
      pending: stored !== undefined && stored.appliedAt === null
    }
  })
}

/** The first step that is not done; the last one when all are. */
export function currentStep(progress: readonly StepProgress[]): StepProgress {
  const found = progress.find((step) => step.state === 'current') ?? progress.at(-1)
  if (found === undefined) throw new Error('there are no steps')
  return found
}

/** May be opened and posted: done, current, or in need of attention before the current one is. */
export function isOpen(progress: readonly StepProgress[], id: StepId): boolean {
  const step = progress.find((candidate) => candidate.id === id)
  return step !== undefined && (step.state === 'done' || step.state === 'current')
}

function isDone(step: DefinedStep, steps: readonly DefinedStep[], answers: AnswersByStep): boolean {
  const appliedAt = answers.get(step.id)?.appliedAt
  if (appliedAt === undefined || appliedAt === null) return false
  return !steps.some((other) => {
    const changed = answers.get(other.id)?.appliedAt
    return other.makesStale.includes(step.id) && changed !== undefined && changed !== null && changed > appliedAt
  })
}
