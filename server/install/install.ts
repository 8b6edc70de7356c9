/**
 * One install, opened over its state folder: where it stands, the one way in, and what a kill left unfinished. Everything
 * that the three doors (form, script, answers file) may do goes through this; what it is made of stands beside it.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import type { CheckSurroundings, Finding } from '../checks/check.ts'
import type { DeployTarget, ServiceState } from '../deploy/target.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import type { RawAnswers } from './answers-file.ts'
import { openBootFile, type StoredAnswers } from './boot-file.ts'
import { isBeingDestroyed } from './destroy-record.ts'
import { applyIn, isHeld, letGo } from './install-apply.ts'
import { openStore, refuseMovedDatabase } from './install-store.ts'
import { type Jobs, openJobs } from './jobs/jobs.ts'
import { openJournals } from './jobs/journal.ts'
import { keepSecrets, restoreAnswers } from './kept-secrets.ts'
import { lacksSome, type Plan, type PlanOptions, planAnswers } from './plan.ts'
import { type AnswersByStep, progressOf, type StepProgress } from './progress.ts'
import { refuseHalfRestored } from './restore-marker.ts'
import { openSecretKeeper, type SecretKeeper } from './secrets.ts'
import { type SkipRequest, skipsFor } from './skips.ts'
import { makeStateFolder } from './state-folder.ts'
import { isDown, stillThere } from './still-there.ts'
import type { LedgerRow } from './store.ts'
import {
  admitStep,
  fieldMessages,
  isKept,
  type Outcome,
  readAnswers,
  type SubmitGround,
  type SubmitOptions,
  stepOf,
  submitStep,
  type Watcher
} from './submit.ts'
import { type WizardKms, wizardKms } from './wizard-kms.ts'

export interface InstallOptions {
  readonly stateDir: string
  readonly steps: readonly DefinedStep[]
  readonly target: DeployTarget
  /** True for `keyscaler destroy` only: an install that is being taken away is opened by nobody else. */
  readonly destroying?: boolean
  /** Told when the journal of a job cannot be written; nothing depends on it. */
  readonly unwritten?: (thrown: unknown) => void
}

export interface Install {
  readonly id: string
  readonly stateDir: string
  readonly steps: readonly DefinedStep[]
  readonly target: DeployTarget
  readonly finishedAt: () => string | null
  readonly answers: () => Promise<AnswersByStep>
  readonly progress: () => Promise<readonly StepProgress[]>
  /** Parses and checks; changes nothing. */
  readonly check: (
    step: StepId,
    raw: Readonly<Record<string, unknown>>,
    watch?: Watcher,
    skip?: readonly SkipRequest[]
  ) => Promise<CheckOutcome>
  /**
   * What is wrong with answers by their shape alone; nothing: none of it is.
   * @throws AppError locked, out-of-order, conflict
   */
  readonly admit: (
    step: StepId,
    raw: Readonly<Record<string, unknown>>,
    options?: Pick<SubmitOptions, 'revision' | 'skip'>
  ) => Promise<Readonly<Record<string, string>>>
  /** @throws AppError locked, out-of-order, conflict */
  readonly submit: (step: StepId, raw: Readonly<Record<string, unknown>>, options: SubmitOptions) => Promise<Outcome>
  /** What submitting these answers would do; changes nothing. @throws AppError invalid-input */
  readonly plan: (wanted: RawAnswers, options?: PlanOptions) => Promise<Plan>
  /** These answers of a step are the ones that are kept, or it needs none; @param raw undefined: whatever is kept */
  readonly isKept: (step: StepId, raw: RawAnswers[string] | undefined) => Promise<boolean>
  readonly ledger: () => Promise<readonly LedgerRow[]>
  /** Latest answers of a step; the database step's are known without the database. */
  readonly storedAnswers: (step: string) => Promise<StoredAnswers | undefined>
  /** A kept secret; undefined when none was given. For whoever may write the state folder. */
  readonly secretOf: (step: string, field: string) => Promise<string | undefined>
  /** Opens a finished setup again: for whoever may write the state folder, as `keyscaler unlock` is. */
  readonly reopen: () => Promise<void>
  /** Brings the schema of an earlier version up to this one; names of the migrations that were applied. */
  readonly upgrade: () => Promise<readonly string[]>
  /** What was asked for, as it is done: whoever asks for work begins a job (jobs/begin.ts). */
  readonly jobs: Jobs
  /** Saved answers that are not applied to their end; null: there are none. */
  readonly pending: () => Promise<PendingStep | null>
  /** Applies them to their end. @throws what the step throws */
  readonly finishPending: (step: StepId, watch: Watcher) => Promise<ApplyResult>
  /** What a resumed step has to show once; given to the first who asks. */
  readonly takeShowOnce: () => ApplyResult['showOnce']
  /** `keyscaler unlock` on the host left a request: setup is open again. False when there is none. */
  readonly takeUnlock: () => Promise<boolean>
  readonly surroundings: (step: StepId) => Promise<CheckSurroundings>
  readonly kms: () => Promise<KmsClient>
  readonly database: () => Pool | null
  readonly close: () => Promise<void>
}

export interface PendingStep {
  readonly step: StepId
  /** Somebody has cancelled it: it waits for a person, the next start leaves it. */
  readonly held: boolean
}

/** File in the state folder that asks a wizard, running or not yet, to open setup again. */
export const unlockRequest = 'unlock-request'

export interface CheckOutcome {
  readonly fields: Readonly<Record<string, string>>
  readonly findings: readonly Finding[]
}

export async function openInstall(options: InstallOptions): Promise<Install> {
  const { stateDir, steps, target } = options
  await refuseUnopenable(options)
  await makeStateFolder(stateDir)
  const boot = await openBootFile(stateDir)
  const id = boot.state().install
  let showOnce: ApplyResult['showOnce']

  const keeper: SecretKeeper = openSecretKeeper(stateDir, id, async () => {
    const database = opened.database()
    const client = database === null ? null : await kms.deployed()
    return database === null || client === null ? null : { database, kms: client }
  })
  const opened = await openStore(boot, (step, field, place) => keeper.open(step, field, place))
  const { answers, storedAnswers } = opened
  const kms: WizardKms = wizardKms(stateDir, answers)

  const surroundings = async (step: StepId): Promise<CheckSurroundings> => {
    const index = steps.findIndex((candidate) => candidate.id === step)
    const before = new Set<StepId>(steps.slice(0, index).map((candidate) => candidate.id))
    const known = [...(await answers())].filter(([of]) => before.has(of) || step === 'complete')
    const database = opened.database()
    return {
      stateDir,
      install: id,
      earlier: Object.fromEntries(known.map(([of, row]) => [of, row.values])),
      progress: () => {},
      services: database === null ? {} : { database }
    }
  }
  const standing = async (seen: ReturnType<DeployTarget['lastSeen']>) =>
    stillThere(await opened.store().ledger(), stateDir, seen)
  const prepare = (id: StepId) => {
    const { starts, getReady } = stepOf({ steps }, id)
    if (starts !== null) target.prepare(starts)
    void getReady().catch(() => {})
  }
  const ground: SubmitGround = {
    steps,
    answers,
    finished: () => boot.state().finishedAt !== null,
    openSecret: async (step, field, stored) => {
      const place = stored.secrets[field]
      return place === undefined ? '' : keeper.open(step, field, place)
    },
    surroundings,
    save: async (step, expected, submission, findings, actor) => {
      if (step === 'database') refuseMovedDatabase(boot, submission)
      const secrets = await keepSecrets(keeper, step, submission)
      return opened.store().save(step, expected, { values: submission.values, secrets, findings, actor })
    },
    lacks: async (step, submission) => {
      // It is deployed again: that waits until it is ready, or says what it misses.
      const { starts } = stepOf({ steps }, step)
      if (target.lastSeen().some(({ name, state }) => name === starts && doesNotServe.has(state))) return true
      const { earlier } = await surroundings(step)
      return lacksSome(submission.effects(earlier), await standing(target.lastSeen()))
    },
    prepare,
    apply: applyIn({ id, stateDir, steps, target, boot, opened, keeper, kms })
  }
  const pendingRow = async () => {
    const current = await answers()
    const step = steps.find((candidate) => current.get(candidate.id)?.appliedAt === null)
    const row = step === undefined ? undefined : current.get(step.id)
    return step === undefined || row === undefined ? null : { step, row }
  }
  const inTurn = oneAtATime()
  return {
    id,
    stateDir,
    steps,
    target,
    finishedAt: () => boot.state().finishedAt,
    answers,
    progress: async () => progressOf(steps, await answers()),
    check: async (step, raw, watch = {}, skip = []) => {
      if (ground.finished()) throw new AppError('locked', 'Setup is finished.')
      const parsed = await readAnswers(ground, stepOf(ground, step), raw, (await answers()).get(step))
      if (!parsed.ok) return { fields: parsed.fields, findings: [] }
      const around = { ...(await surroundings(step)), skip: skipsFor(step, skip) }
      const findings = await parsed.submission.check(around, watch)
      return { fields: fieldMessages(findings), findings }
    },
    admit: async (step, raw, asked = {}) => {
      const { parsed } = await admitStep(ground, step, raw, asked)
      return parsed.ok ? {} : parsed.fields
    },
    plan: async (wanted, planOptions = {}) => {
      // One after the other, over one connection: a second one would cost more than both.
      const current = await answers()
      const ledger = await standing(planOptions.servicesUnseen === true ? [] : target.lastSeen())
      // An install in which nothing was ever answered is none yet: its id says nothing.
      const install = current.size === 0 && ledger.length === 0 ? null : id
      const { openSecret } = ground
      return planAnswers(
        { install, steps, answers: current, ledger, finished: ground.finished(), openSecret },
        wanted,
        planOptions
      )
    },
    isKept: async (step, raw) => isKept(ground, stepOf(ground, step), raw, (await answers()).get(step)),
    ledger: () => opened.store().ledger(),
    storedAnswers,
    secretOf: async (step, field) => {
      const place = (await storedAnswers(step))?.secrets[field]
      return place === undefined ? undefined : keeper.open(step, field, place)
    },
    reopen: () => boot.change((state) => ({ ...state, finishedAt: null })),
    submit: (step, raw, submitOptions) => inTurn(() => submitStep(ground, step, raw, submitOptions)),
    upgrade: opened.upgrade,
    jobs: openJobs(openJournals(stateDir, options.unwritten ?? (() => {}))),
    pending: async () => {
      const found = await pendingRow()
      if (found === null) return null
      const { step, row } = found
      return { step: step.id, held: isHeld(boot, step.id, row.revision) }
    },
    finishPending: (step, watch) =>
      inTurn(async () => {
        const found = await pendingRow()
        if (found?.step.id !== step) throw new AppError('conflict', 'There is nothing left to finish in this step.')
        await letGo(boot)
        prepare(step)
        const submission = await restoreAnswers(keeper, found.step, found.row)
        const result = await ground.apply(step, found.row.revision, submission, watch)
        if (watch.showOnce === undefined) showOnce = result.showOnce
        return result
      }),
    takeShowOnce: () => {
      const taken = showOnce
      showOnce = undefined
      return taken
    },
    takeUnlock: async () => {
      const request = join(stateDir, unlockRequest)
      if ((await readPrivateFile(request)) === null) return false
      await boot.change((state) => ({ ...state, finishedAt: null }))
      await rm(request, { force: true })
      return true
    },
    surroundings,
    kms: kms.client,
    database: opened.database,
    close: async () => {
      await kms.close()
      await opened.close()
    }
  }
}

async function refuseUnopenable({ stateDir, destroying }: InstallOptions): Promise<void> {
  if (isBeingDestroyed(stateDir) && destroying !== true) {
    throw new AppError('locked', `The install in ${stateDir} is being taken away.`, {
      cure: 'Run keyscaler destroy again: it finishes what it began.'
    })
  }
  await refuseHalfRestored(stateDir)
}

/** A step that is submitted waits for what its service misses, too. */
const doesNotServe: ReadonlySet<ServiceState> = new Set([...isDown, 'unhealthy'])

/** A queue of one: submissions, and what is finished of them, never overlap. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work, work)
    last = mine.catch(() => {})
    return mine
  }
}
