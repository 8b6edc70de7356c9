/** Applies kept answers of one step, and marks them applied: for who submits them, and for who goes on with what was cut off. */
import type { DeployTarget } from '../deploy/target.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import { applyContext } from './apply-step.ts'
import type { BootFile } from './boot-file.ts'
import type { OpenedStore } from './install-store.ts'
import { isCancelled } from './jobs/cancelled.ts'
import type { SecretKeeper } from './secrets.ts'
import type { SubmitGround } from './submit.ts'
import type { WizardKms } from './wizard-kms.ts'

export interface InstallParts {
  readonly id: string
  readonly stateDir: string
  readonly steps: readonly DefinedStep[]
  readonly target: DeployTarget
  readonly boot: BootFile
  readonly opened: OpenedStore
  readonly keeper: SecretKeeper
  readonly kms: WizardKms
}

export function applyIn(parts: InstallParts): SubmitGround['apply'] {
  const { stateDir, steps, boot, opened, keeper, kms } = parts
  const applied: SubmitGround['apply'] = async (step, revision, submission, watch, appliedAt) => {
    watch.signal?.throwIfAborted()
    const current = await opened.answers()
    const context = applyContext(step, {
      install: parts.id,
      stateDir,
      store: opened.store(),
      keeper,
      answers: current,
      database: opened.readyDatabase,
      deploy: parts.target,
      kms: kms.client,
      watch
    })
    if (step === 'kms') await kms.close()
    const result = await submission.apply(context)
    if (result.showOnce !== undefined) await watch.showOnce?.(step, result.showOnce)
    const row = current.get(step)
    if (step === 'database' && row !== undefined) await opened.moveToDatabase(row)
    await opened.store().markApplied(step, revision, appliedAt)
    if (step === steps.at(-1)?.id) await opened.store().finish()
    return result
  }
  return async (step, revision, ...more) => {
    try {
      return await applied(step, revision, ...more)
    } catch (thrown) {
      if (isCancelled(thrown)) await hold(boot, step, revision)
      throw thrown
    }
  }
}

/** A person has cancelled this revision: the next start does not take it up by itself. Next or Retry does. */
function hold(boot: BootFile, step: StepId, revision: number): Promise<void> {
  return boot.change((state) => ({ ...state, held: { step, revision } }))
}

export function isHeld(boot: BootFile, step: StepId, revision: number): boolean {
  const { held } = boot.state()
  return held?.step === step && held.revision === revision
}

/** Whoever asks for it now wants it finished, also after a kill. */
export async function letGo(boot: BootFile): Promise<void> {
  if (boot.state().held !== null) await boot.change((state) => ({ ...state, held: null }))
}
