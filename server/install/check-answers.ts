/** Every live check of an answers file, in the steps' order, before anything is saved or made: `config validate --live`. */
import type { CheckWatcher, Finding } from '../checks/check.ts'
import type { DefinedStep, FieldValue } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import { type AnswersFile, skipsOf } from './answers-file.ts'
import { skipsFor } from './skips.ts'

export interface CheckedStep {
  readonly step: StepId
  readonly title: string
  readonly findings: readonly Finding[]
}

/**
 * What needs something that an earlier step would make (schema, KMS) says `skip`.
 * @param file read as a whole: each step's answers pass its schema
 * @param stateDir of the install to be: logins at a token are counted there, as by every other door
 */
export async function checkAnswers(
  file: AnswersFile,
  steps: readonly DefinedStep[],
  stateDir: string,
  watch: { readonly begin: (title: string) => void } & CheckWatcher
): Promise<CheckedStep[]> {
  const earlier: Record<string, Readonly<Record<string, FieldValue>>> = {}
  const checked: CheckedStep[] = []
  for (const step of steps) {
    const parsed = step.parse(file.steps[step.id] ?? {})
    // The last step looks at what runs, and there is nothing yet.
    if (!parsed.ok || step === steps.at(-1)) continue
    const { submission } = parsed
    watch.begin(step.title)
    const skip = skipsFor(step.id, skipsOf(file, step.id))
    const around = { stateDir, install: '', earlier: { ...earlier }, progress: () => {}, services: {}, skip }
    checked.push({ step: step.id, title: step.title, findings: await submission.check(around, watch) })
    earlier[step.id] = submission.values
  }
  return checked
}
