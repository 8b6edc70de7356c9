/** The secrets of a step's answers, all of them: kept when they are saved, opened when they are applied again. */
import type { DefinedStep, Submission } from '../steps/define-step.ts'
import type { SecretPlace, StoredAnswers } from './boot-file.ts'
import type { SecretKeeper } from './secrets.ts'

export async function keepSecrets(
  keeper: SecretKeeper,
  step: string,
  submission: Submission
): Promise<Readonly<Record<string, SecretPlace>>> {
  const typed = Object.entries(await submission.keepSecrets())
  return Object.fromEntries(
    await Promise.all(typed.map(async ([field, secret]) => [field, await keeper.keep(step, field, secret)] as const))
  )
}

/** Kept answers as they were saved, ready to be applied once more. */
export async function restoreAnswers(keeper: SecretKeeper, step: DefinedStep, row: StoredAnswers): Promise<Submission> {
  const secrets: Record<string, string> = {}
  for (const [field, place] of Object.entries(row.secrets)) {
    if (place !== undefined) secrets[field] = await keeper.open(step.id, field, place)
  }
  return step.restore(row.values, secrets)
}
