/** Where the answers and the ledger of an open install are: the boot file first, MySQL once the database step is done. */
import type { Pool } from 'mysql2/promise'
import { asDatabaseError, openPool } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { databaseConnectionFrom } from '../steps/database/answers.ts'
import { upgradeSchema } from '../steps/database/upgrade.ts'
import type { Submission } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import type { BootFile, SecretPlace, StoredAnswers } from './boot-file.ts'
import type { AnswersByStep } from './progress.ts'
import { bootStore, type InstallStore, moveIn, mysqlStore } from './store.ts'

export interface OpenedStore {
  /** The one that holds now. */
  readonly store: () => InstallStore
  /** @throws AppError database-unavailable */
  readonly answers: () => Promise<AnswersByStep>
  /** Latest answers of a step; the database step's are known without the database. */
  readonly storedAnswers: (step: string) => Promise<StoredAnswers | undefined>
  /** Null until the database step is done. */
  readonly database: () => Pool | null
  /** @throws AppError out-of-order */
  readonly readyDatabase: () => Pool
  /** After the database step's effects: from here on MySQL is the store. */
  readonly moveToDatabase: (row: StoredAnswers) => Promise<void>
  /** Names of the migrations that were applied. */
  readonly upgrade: () => Promise<readonly string[]>
  readonly close: () => Promise<void>
}

/** @param openSecret opens the password of the database, which is in a file */
export async function openStore(
  boot: BootFile,
  openSecret: (step: string, field: string, place: SecretPlace) => Promise<string>
): Promise<OpenedStore> {
  let pool: Pool | null = null
  let store: InstallStore = bootStore(boot)

  const connect = async (row: StoredAnswers) => {
    const place = row.secrets.dbPassword
    const password = place === undefined ? '' : await openSecret('database', 'dbPassword', place)
    return openPool(databaseConnectionFrom(row.values, password))
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
  const storedAnswers = async (step: string) => boot.state().answers[step] ?? (await answers()).get(step as StepId)
  return {
    store: () => store,
    answers,
    storedAnswers,
    database: () => pool,
    readyDatabase: () => {
      if (pool === null) throw new AppError('out-of-order', 'The database step is not done.')
      return pool
    },
    moveToDatabase: async (row) => {
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
    },
    upgrade: async () => {
      const kept = await storedAnswers('database')
      return pool === null || kept === undefined ? [] : upgradeSchema(pool, String(kept.values.dbName))
    },
    close: async () => void (await pool?.end())
  }
}

/** Other services' credentials live in that schema: moving an install to another database is a restore, not an answer. */
export function refuseMovedDatabase(boot: BootFile, submission: Submission): void {
  const { databaseReady, answers } = boot.state()
  const kept = answers.database
  if (!databaseReady || kept === undefined) return
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
