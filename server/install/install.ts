/**
 * One install, opened over its state folder: where it stands, the one way in, and what a kill left unfinished. Everything
 * that the three doors (form, script, answers file) may do goes through this.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { asDatabaseError, openPool } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import type { CheckSurroundings, Finding } from '../checks/check.ts'
import { serviceAddress } from '../deploy/addresses.ts'
import { wizardIdentity } from '../deploy/service-identity.ts'
import type { DeployTarget } from '../deploy/target.ts'
import { databaseConnectionFrom } from '../steps/database/answers.ts'
import { upgradeSchema } from '../steps/database/apply.ts'
import type { DefinedStep, Submission } from '../steps/define-step.ts'
import type { ApplyResult, StepId } from '../steps/step.ts'
import type { RawAnswers } from './answers-file.ts'
import { applyContext } from './apply-step.ts'
import { restoreMarker } from './backup-files.ts'
import { openBootFile, type StoredAnswers } from './boot-file.ts'
import { isBeingDestroyed } from './destroy-record.ts'
import { type Plan, type PlanOptions, planAnswers } from './plan.ts'
import { type AnswersByStep, progressOf, type StepProgress } from './progress.ts'
import { openSecretKeeper } from './secrets.ts'
import { type SkipRequest, skipsFor } from './skips.ts'
import { bootStore, type InstallStore, type LedgerRow, moveIn, mysqlStore } from './store.ts'
import {
  fieldMessages,
  type Outcome,
  readAnswers,
  type SubmitGround,
  type SubmitOptions,
  stepOf,
  submitStep,
  type Watcher
} from './submit.ts'

export interface InstallOptions {
  readonly stateDir: string
  readonly steps: readonly DefinedStep[]
  readonly target: DeployTarget
  /** True for `keyscaler destroy` only: an install that is being taken away is opened by nobody else. */
  readonly destroying?: boolean
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
  /** @throws AppError locked, out-of-order, conflict */
  readonly submit: (step: StepId, raw: Readonly<Record<string, unknown>>, options: SubmitOptions) => Promise<Outcome>
  /** What submitting these answers would do; changes nothing. @throws AppError invalid-input */
  readonly plan: (wanted: RawAnswers, options?: PlanOptions) => Promise<Plan>
  readonly ledger: () => Promise<readonly LedgerRow[]>
  /** Latest answers of a step; the database step's are known without the database. */
  readonly storedAnswers: (step: string) => Promise<StoredAnswers | undefined>
  /** A kept secret; undefined when none was given. For whoever may write the state folder. */
  readonly secretOf: (step: string, field: string) => Promise<string | undefined>
  /** Opens a finished setup again: for whoever may write the state folder, as `keyscaler unlock` is. */
  readonly reopen: () => Promise<void>
  /** Brings the schema of an earlier version up to this one; names of the migrations that were applied. */
  readonly upgrade: () => Promise<readonly string[]>
  /** Finishes what a kill interrupted; null when nothing was. */
  readonly resume: (watch?: Watcher) => Promise<{ step: StepId; error?: AppError } | null>
  /** What a resumed step has to show once; given to the first who asks. */
  readonly takeShowOnce: () => ApplyResult['showOnce']
  /** `keyscaler unlock` on the host left a request: setup is open again. False when there is none. */
  readonly takeUnlock: () => Promise<boolean>
  readonly surroundings: (step: StepId) => Promise<CheckSurroundings>
  readonly kms: () => Promise<KmsClient>
  readonly database: () => Pool | null
  readonly close: () => Promise<void>
}

/** File in the state folder that asks a wizard, running or not yet, to open setup again. */
export const unlockRequest = 'unlock-request'

export interface CheckOutcome {
  readonly fields: Readonly<Record<string, string>>
  readonly findings: readonly Finding[]
}

export async function openInstall(options: InstallOptions): Promise<Install> {
  const { stateDir, steps, target } = options
  if (isBeingDestroyed(stateDir) && options.destroying !== true) {
    throw new AppError('locked', `The install in ${stateDir} is being taken away.`, {
      cure: 'Run keyscaler destroy again: it finishes what it began.'
    })
  }
  if (existsSync(join(stateDir, restoreMarker))) {
    throw new AppError('locked', `A restore into ${stateDir} was begun and is not over.`, {
      cure: 'Run keyscaler restore again: it begins anew.'
    })
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const boot = await openBootFile(stateDir)
  const { install } = boot.state()
  let pool: Pool | null = null
  let kmsClient: KmsClient | null = null
  let store: InstallStore = bootStore(boot)
  let showOnce: ApplyResult['showOnce']

  const kms = async () => {
    const kmsAnswers = (await store.answers()).get('kms')
    if (kmsAnswers?.appliedAt == null) throw new AppError('out-of-order', 'The KMS is not deployed yet.')
    kmsClient ??= openKmsClient({
      address: serviceAddress('kms', String(kmsAnswers.values.kmsHost)).address,
      identity: wizardIdentity(stateDir)
    })
    return kmsClient
  }
  const vault = async () => {
    if (pool === null || (await store.answers()).get('kms')?.appliedAt == null) return null
    return { database: pool, kms: await kms() }
  }
  const keeper = openSecretKeeper(stateDir, install, vault)

  const connect = async (answers: StoredAnswers) => {
    const place = answers.secrets.dbPassword
    const password = place === undefined ? '' : await keeper.open('database', 'dbPassword', place)
    return openPool(databaseConnectionFrom(answers.values, password))
  }
  const databaseAnswers = boot.state().answers.database
  if (boot.state().databaseReady && databaseAnswers !== undefined) {
    pool = await connect(databaseAnswers)
    store = mysqlStore(pool, boot)
  }

  const answers = async () => {
    try {
      return await store.answers()
    } catch (thrown) {
      throw asDatabaseError(thrown)
    }
  }

  const surroundings = async (step: StepId): Promise<CheckSurroundings> => {
    const index = steps.findIndex((candidate) => candidate.id === step)
    const before = new Set<StepId>(steps.slice(0, index).map((candidate) => candidate.id))
    const known = [...(await answers())].filter(([id]) => before.has(id) || step === 'complete')
    return {
      stateDir,
      install,
      earlier: Object.fromEntries(known.map(([id, row]) => [id, row.values])),
      progress: () => {},
      services: pool === null ? {} : { database: pool }
    }
  }

  /** After the database step's effects: from here on MySQL is the store. */
  const moveToDatabase = async (row: StoredAnswers) => {
    const opened = await connect(row)
    try {
      await moveIn(opened, boot)
      await boot.change((state) => ({ ...state, databaseReady: true, answers: { database: row }, ledger: [] }))
    } catch (thrown) {
      await opened.end()
      throw thrown
    }
    await pool?.end()
    pool = opened
    store = mysqlStore(pool, boot)
  }

  const apply: SubmitGround['apply'] = async (step, revision, submission, watch, appliedAt) => {
    const current = await answers()
    const context = applyContext(step, {
      install,
      stateDir,
      store,
      keeper,
      answers: current,
      database: () => {
        if (pool === null) throw new AppError('out-of-order', 'The database step is not done.')
        return pool
      },
      deploy: target,
      kms,
      report: (phase) => watch.phase?.(phase)
    })
    if (step === 'kms') {
      await kmsClient?.close()
      kmsClient = null
    }
    const result = await submission.apply(context)
    if (result.showOnce !== undefined) await watch.showOnce?.(step, result.showOnce)
    const row = current.get(step)
    if (step === 'database' && row !== undefined) await moveToDatabase(row)
    await store.markApplied(step, revision, appliedAt)
    if (step === steps.at(-1)?.id) await store.finish()
    return result
  }

  const ground: SubmitGround = {
    steps,
    answers,
    finished: () => boot.state().finishedAt !== null,
    openSecret: (step, field, stored) => {
      const place = stored.secrets[field]
      return place === undefined ? Promise.resolve('') : keeper.open(step, field, place)
    },
    surroundings,
    save: async (step, expected, submission, findings, actor) => {
      if (step === 'database')
        refuseMovedDatabase(boot.state().databaseReady, boot.state().answers.database, submission)
      const secrets = Object.fromEntries(
        await Promise.all(
          Object.entries(await submission.keepSecrets()).map(
            async ([field, secret]) => [field, await keeper.keep(step, field, secret)] as const
          )
        )
      )
      return store.save(step, expected, { values: submission.values, secrets, findings, actor })
    },
    apply
  }

  const storedAnswers = async (step: string) => boot.state().answers[step] ?? (await answers()).get(step as StepId)
  const inTurn = oneAtATime()
  return {
    id: install,
    stateDir,
    steps,
    target,
    finishedAt: () => boot.state().finishedAt,
    answers,
    progress: async () => progressOf(steps, await answers()),
    check: async (id, raw, watch = {}, skip = []) => {
      if (ground.finished()) throw new AppError('locked', 'Setup is finished.')
      const parsed = await readAnswers(ground, stepOf(ground, id), raw, (await answers()).get(id))
      if (!parsed.ok) return { fields: parsed.fields, findings: [] }
      const findings = await parsed.submission.check({ ...(await surroundings(id)), skip: skipsFor(id, skip) }, watch)
      return { fields: fieldMessages(findings), findings }
    },
    plan: async (wanted, planOptions = {}) => {
      const [current, ledger] = await Promise.all([answers(), store.ledger()])
      // An install in which nothing was ever answered is none yet: its id says nothing.
      const id = current.size === 0 && ledger.length === 0 ? null : install
      const { openSecret } = ground
      return planAnswers(
        { install: id, steps, answers: current, ledger, finished: ground.finished(), openSecret },
        wanted,
        planOptions
      )
    },
    ledger: () => store.ledger(),
    storedAnswers,
    secretOf: async (step, field) => {
      const place = (await storedAnswers(step))?.secrets[field]
      return place === undefined ? undefined : keeper.open(step, field, place)
    },
    reopen: () => boot.change((state) => ({ ...state, finishedAt: null })),
    submit: (step, raw, submitOptions) => inTurn(() => submitStep(ground, step, raw, submitOptions)),
    upgrade: async () => {
      const kept = await storedAnswers('database')
      return pool === null || kept === undefined ? [] : upgradeSchema(pool, String(kept.values.dbName))
    },
    resume: (watch = {}) =>
      inTurn(async () => {
        const current = await answers()
        const pending = steps.find((step) => current.get(step.id)?.appliedAt === null)
        const row = pending === undefined ? undefined : current.get(pending.id)
        if (pending === undefined || row === undefined) return null
        try {
          const secrets: Record<string, string> = {}
          for (const [field, place] of Object.entries(row.secrets)) {
            if (place !== undefined) secrets[field] = await keeper.open(pending.id, field, place)
          }
          const result = await apply(pending.id, row.revision, pending.restore(row.values, secrets), watch)
          showOnce = watch.showOnce === undefined ? result.showOnce : undefined
          return { step: pending.id }
        } catch (thrown) {
          const error = thrown instanceof AppError ? thrown : new AppError('deploy-failed', String(thrown))
          return { step: pending.id, error }
        }
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
    kms,
    database: () => pool,
    close: async () => {
      await kmsClient?.close()
      await pool?.end()
    }
  }
}

/** Other services' credentials live in that schema: moving an install to another database is a restore, not an answer. */
function refuseMovedDatabase(ready: boolean, kept: StoredAnswers | undefined, submission: Submission): void {
  if (!ready || kept === undefined) return
  const moved = ['dbHost', 'dbPort', 'dbName'].some((name) => kept.values[name] !== submission.values[name])
  if (!moved) return
  const { dbHost, dbPort, dbName } = kept.values
  throw new AppError(
    'conflict',
    `This install lives in ${dbName} on ${dbHost}:${dbPort} and cannot be moved from here.`,
    {
      cure: 'Leave host, port and name as they are; user and password may change.'
    }
  )
}

/** A queue of one: submissions and resumes never overlap. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work, work)
    last = mine.catch(() => {})
    return mine
  }
}
