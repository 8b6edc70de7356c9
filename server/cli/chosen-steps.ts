/** `--only`: what applying one step of an answers file would do, and what it would leave open. */

import { meant } from '../../lib/service/did-you-mean.ts'
import type { RawAnswers } from '../install/answers-file.ts'
import type { Install } from '../install/install.ts'
import type { Plan, PlanOptions } from '../install/plan.ts'
import { steps } from '../install/steps.ts'
import type { StepId } from '../steps/step.ts'
import { usageError } from './console.ts'

/** What a plan is made on: an install, or a host without one. */
export type Planner = Pick<Install, 'plan' | 'finishedAt'>

export interface Chosen {
  /** What would be done; of all steps, or of the one that was chosen. Its hash is that of the whole plan. */
  readonly plan: Plan & { readonly only?: StepId }
  /** Of all steps. */
  readonly whole: Plan
  /** Steps that the answers change as well and that were not chosen. */
  readonly others: readonly StepId[]
}

/** @throws AppError invalid-input naming the steps */
export function onlyStep(typed: string | undefined): StepId | undefined {
  if (typed === undefined) return undefined
  const ids = steps.map(({ id }) => id)
  const step = ids.find((id) => id === typed)
  if (step !== undefined) return step
  throw usageError(`There is no step ${typed} (steps: ${ids.join(', ')}).${meant(typed, ids)}`)
}

/**
 * One step goes with the last one where that is all that is left then: a finished setup is locked again.
 * @param only absent: all steps
 * @throws AppError invalid-input as Install.plan
 */
export async function choose(
  planner: Planner,
  wanted: RawAnswers,
  only: StepId | undefined,
  options: Pick<PlanOptions, 'servicesUnseen'> = {}
): Promise<Chosen> {
  const whole = await planner.plan(wanted, options)
  if (only === undefined) return { plan: whole, whole, others: [] }
  const answers = wanted[only]
  // The other answers of the file are not applied, so that nothing goes stale by them.
  const own = await planner.plan(answers === undefined ? {} : { [only]: answers }, { ...options, unanswered: true })
  const last = steps.at(-1)?.id
  const locks = planner.finishedAt() !== null && own.steps.every((id) => id === only || id === last)
  const chosen = own.steps.includes(only) ? (locks ? own.steps : [only]) : []
  const items = own.items.filter(({ step }) => step === only || chosen.includes(step))
  const others = whole.steps.filter((id) => id !== only && id !== last)
  return { plan: { ...whole, only, items, steps: chosen, changed: chosen.length > 0 }, whole, others }
}

/** Null: none. */
export function othersText({ plan: { only }, others }: Chosen): string | null {
  if (others.length === 0) return null
  const [count, have] = others.length === 1 ? ['1 other step', 'has'] : [`${others.length} other steps`, 'have']
  const list = others.map(titleOf).join(', ')
  return `${count} ${have} changes that --only ${only} leaves: ${list}. Without --only they are made, too.`
}

export function titleOf(step: StepId): string {
  return steps.find(({ id }) => id === step)?.title ?? step
}
