/** For the tests of jobs: steps of one field each, whose checks and whose work are the test's. */
import { z } from 'zod'
import { defineCheck } from '../../checks/check.ts'
import type { ApplyContext } from '../../steps/apply-context.ts'
import { type DefinedStep, defineStep } from '../../steps/define-step.ts'
import type { ApplyResult, StepId } from '../../steps/step.ts'

export type Work = (context: ApplyContext, answer: string) => Promise<ApplyResult | undefined>

/** Of the database none is there: what they do is kept in the boot file. @param silent steps that ask for nothing, and warn */
export function stepsOf(
  work: Partial<Record<StepId, Work>>,
  checks: (step: StepId) => Promise<void> = async () => {},
  silent: readonly StepId[] = []
) {
  const ids: readonly StepId[] = ['welcome', 'memcached', 'kafka', 'complete']
  return ids.map((id): DefinedStep => {
    const answer = z.string().min(1, 'Answer something.')
    const check = defineCheck<{ answer: string; password?: string | undefined }, string>({
      id: `${id}.answered`,
      title: 'An answer',
      deadlineMs: 5000,
      fix: 'Wait.',
      observe: async ({ answer }) => {
        await checks(id)
        return answer
      },
      outcomes: [
        { verdict: 'fail', when: (seen) => seen === 'wrong', say: 'It is wrong.', fix: 'Answer something else.' },
        { verdict: 'warn', when: (seen) => seen === 'odd', say: 'It is odd.', fix: 'Answer something else.' },
        { verdict: 'pass', say: 'It is right.' }
      ]
    })
    return defineStep({
      id,
      title: `Step ${id}`,
      intro: '',
      answers: z.strictObject({
        answer: silent.includes(id) ? answer.default('odd') : answer,
        password: z.string().optional()
      }),
      fields: {
        answer: { label: 'Answer', control: 'text' },
        password: { label: 'Password', control: 'password', secret: true, optional: true }
      },
      checks: async () => [check],
      makesStale: [],
      plan: () => [],
      keep: async () => ({}),
      apply:
        async () =>
        async ({ answer }, context) => {
          return (await work[id]?.(context, answer)) ?? {}
        }
    })
  })
}

/** An effect, then a moment in which the test cancels, then another effect. */
export function twoEffects() {
  const between = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const made: string[] = []
  const work: Work = async (context) => {
    context.report('The first')
    await context.effect('topic', 'first', async () => void made.push('first'))
    between.resolve()
    await goOn.promise
    context.report('The second')
    await context.effect('topic', 'second', async () => void made.push('second'))
  }
  return { work, made, between: between.promise, goOn: goOn.resolve }
}
