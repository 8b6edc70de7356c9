/** An apply that stopped: which of its steps Retry can do with what is kept, and what is said of the others. */
import { AppError } from '../../../lib/errors/app-error.ts'
import { within } from '../../../lib/process/within.ts'
import type { StepId } from '../../steps/step.ts'
import type { AppliedFile } from '../apply-answers.ts'
import type { Install } from '../install.ts'
import { stepOf } from '../submit.ts'
import { isCancelled } from './cancelled.ts'
import type { ApplyRest } from './job.ts'

const openingMs = 3000

/** What an apply was asked for. */
export interface ApplyOrder {
  readonly file: AppliedFile
  readonly steps: readonly StepId[]
}

export interface Stopped {
  readonly error: AppError
  readonly rest: ApplyRest
}

/**
 * What was asked for is in the memory of its request alone: a step is left to Retry only where nothing but that is kept, for
 * an older answer done again would pass for the one that was asked for.
 * @param stoppedAt the step that it was at; null: none
 * @returns the rest, and the error with what is true of it in its cure
 */
export async function stoppedIn(
  install: Install,
  { file, steps }: ApplyOrder,
  done: readonly StepId[],
  stoppedAt: StepId | null,
  error: AppError
): Promise<Stopped> {
  const left = inOrder(install, steps).filter((id) => !done.includes(id))
  const pending = await install.pending().catch(() => null)
  const kept: StepId[] = []
  for (const id of left) {
    // It has saved them itself, and what they hold need not be opened to know it.
    const saved = id === stoppedAt && id === pending?.step
    if (!saved && !(await isKept(install, id, file))) break
    kept.push(id)
  }
  const { continueAnyway, skip = [] } = file
  const cure = cureOf(install, file.actor, error, kept, left.slice(kept.length))
  return { error: withCure(error, cure), rest: { steps: kept, continueAnyway, skip } }
}

/** The KMS that would have to open a kept secret may be what failed: then nobody waits for it, and nobody knows. */
function isKept(install: Install, id: StepId, { steps }: AppliedFile): Promise<boolean> {
  return within(openingMs, 'what is kept', () => install.isKept(id, steps[id])).catch(() => false)
}

/** The first of these steps, as far as they can be done with what is kept; what was cut off is kept for certain. */
export async function keptOf(install: Install, steps: readonly StepId[], cutOff: StepId): Promise<readonly StepId[]> {
  const kept: StepId[] = []
  for (const id of steps) {
    if (id !== cutOff && !(await install.isKept(id, undefined))) break
    kept.push(id)
  }
  return kept
}

/** Of a Retry that went well as far as it could: nothing was left, or which steps and how to go on. */
export function leftWords(install: Install, steps: readonly StepId[]): string | null {
  if (steps.length === 0) return null
  return `Not done: ${titles(install, inOrder(install, steps))}. What was asked for there is not kept: apply it again, or open the step.`
}

function cureOf(
  install: Install,
  actor: string,
  error: AppError,
  kept: readonly StepId[],
  lost: readonly StepId[]
): string | undefined {
  const goesOn = isCancelled(error) ? undefined : error.cure
  // Who has the file runs it again, whatever is kept.
  if (actor === 'answers file') {
    return isCancelled(error)
      ? 'Run keyscaler apply again with the same file: it goes on from where it stopped.'
      : goesOn
  }
  if (kept.length + lost.length === 0) return error.cure
  if (lost.length === 0) return goesOn ?? `Retry goes on with ${titles(install, kept)}.`
  const again = 'what was asked for there is not kept: apply it again, and it goes on from where it stopped.'
  const sentence =
    kept.length === 0
      ? `Not done: ${titles(install, lost)}; ${again}`
      : `Retry does ${titles(install, kept)}. Not ${titles(install, lost)}: ${again}`
  return goesOn === undefined ? sentence : `${goesOn} ${sentence}`
}

function withCure(error: AppError, cure: string | undefined): AppError {
  if (cure === undefined || cure === error.cure) return error
  const { code, message, fields, causes, reason, cause = error } = error
  return new AppError(code, message, {
    cure,
    cause,
    ...(fields === undefined ? {} : { fields }),
    ...(causes === undefined ? {} : { causes }),
    ...(reason === undefined ? {} : { reason })
  })
}

function inOrder(install: Install, ids: readonly StepId[]): readonly StepId[] {
  return install.steps.map(({ id }) => id).filter((id) => ids.includes(id))
}

function titles(install: Install, ids: readonly StepId[]): string {
  return ids.map((id) => stepOf(install, id).title).join(', ')
}
