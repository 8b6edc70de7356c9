/**
 * Puts an install back from a backup: on a machine where it is not, with the key store that it had. The whole file is read and
 * proved before anything is touched; `restore.json` stands in the state folder until all is back, and who is killed begins
 * again. Then the services are started once: a backup whose keys do not open is found out now, not on the day after.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { migrate } from '../../lib/database/migrate.ts'
import { asDatabaseError, openPool } from '../../lib/database/pool.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import type { DeployTarget, ServiceStatus } from '../deploy/target.ts'
import { databaseConnectionFrom } from '../steps/database/answers.ts'
import { migrations } from '../steps/database/upgrade.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { StepId } from '../steps/step.ts'
import { applyContext } from './apply-step.ts'
import { readBackup } from './backup.ts'
import type { BackupHead } from './backup-content.ts'
import { fileWriter } from './backup-files.ts'
import { tableWriter } from './backup-tables.ts'
import { openBootFile, type StoredAnswers } from './boot-file.ts'
import { type Install, openInstall } from './install.ts'
import { filesHere, type Proved, proveBackup, refuseOtherPlace, refuseOtherVersion } from './proved-backup.ts'
import {
  againWords,
  allOfThisMachine,
  giveUpWords,
  isOf,
  type OfThisMachine,
  type RestoreMarker,
  readRestoreMarker,
  restoreMarker,
  writeRestoreMarker
} from './restore-marker.ts'
import { openSecretKeeper } from './secrets.ts'
import { mysqlStore } from './store.ts'

export interface RestoreOptions {
  readonly stateDir: string
  readonly file: string
  readonly passphrase: string
  readonly steps: readonly DefinedStep[]
  readonly target: DeployTarget
  readonly begins: (task: RestoreTask) => void
  /** What the task does at this moment. */
  readonly report: (phase: string) => void
}

/** In their order. */
export const restoreTasks = [
  { id: 'backup', title: 'Reading the whole backup' },
  { id: 'state', title: 'Writing the state folder' },
  { id: 'database', title: 'Writing the database' },
  { id: 'database-users', title: 'Creating the database users of the services' },
  { id: 'services', title: 'Starting the services' },
  { id: 'topics', title: 'Looking at the topics of Kafka' }
] as const
export type RestoreTask = (typeof restoreTasks)[number]['id']

export interface RestoreResult {
  readonly install: string
  /** When the backup was made. */
  readonly at: string
  readonly files: number
  readonly rows: number
  /** As they were a moment after they had been started; they are stopped again. */
  readonly services: readonly ServiceStatus[]
  /** What is back, but could not be proved or made again; empty: all is well. */
  readonly remarks: readonly string[]
}

/** @throws AppError check-failed or invalid-input for the file, conflict where something is in the way; nothing was changed then */
export async function restoreInstall(options: RestoreOptions): Promise<RestoreResult> {
  const { stateDir, begins, target } = options
  begins('backup')
  const proved = await proveBackup(options)
  const { head } = proved
  const before = await wasBegun(stateDir, head)
  if (before === null) await refuseOtherPlace(head, stateDir)
  await refuseOtherVersion(head)
  const pool = await emptySchema(proved, before !== null)
  try {
    const stays = await begin(stateDir, head, before)
    begins('state')
    const files = await restoreFiles(options, head, stays)
    begins('database')
    const rows = await restoreRows(options, head, pool)
    begins('database-users')
    await applyAgain('database', options, { pool, stored: proved.stored, secrets: { dbPassword: proved.password } })
    await rm(join(stateDir, restoreMarker))
    return { install: head.install, at: head.at, files, rows, ...(await prove(options)) }
  } catch (thrown) {
    throw await notOver(thrown, stateDir)
  } finally {
    await pool.end()
    await target.stop()
  }
}

/** What cut a restore off, with what can be done then. */
async function notOver(thrown: unknown, stateDir: string): Promise<unknown> {
  const marker = await readRestoreMarker(stateDir).catch(() => null)
  if (marker === null) return thrown
  const { code, cure = '' } = thrown instanceof AppError ? thrown : new AppError('internal', '')
  const again = againWords(stateDir, marker)
  return new AppError(code, messageOf(thrown), { cause: thrown, cure: `${cure} ${again}`.trimStart() })
}

/**
 * A restore of this very backup was begun here: what is in the folder and in the schema is its own. Null: none was.
 * @throws AppError conflict
 */
async function wasBegun(stateDir: string, { install, at, schema }: BackupHead): Promise<RestoreMarker | null> {
  const before = await readRestoreMarker(stateDir)
  if (before === null) return null
  if (before.install === install && before.at === at && before.schema === schema) return before
  throw new AppError(
    'conflict',
    `A restore of another backup was begun in ${stateDir}: of install ${before.install}, of ${before.at}.`,
    { cure: `Finish that one, or ${giveUpWords(stateDir, before)}.` }
  )
}

/** @returns what stays as it is here, whatever the backup has of it */
async function begin(
  stateDir: string,
  { install, at, schema, keyStoreDir }: BackupHead,
  before: RestoreMarker | null
): Promise<readonly OfThisMachine[]> {
  const here = await filesHere(stateDir)
  const found = allOfThisMachine.filter((name) => here.some((path) => isOf([name], path)))
  // What is known of rejected passwords may be newer than the first try, and is never taken away.
  const stays = before === null ? found : [...new Set([...before.stays, 'pin-guard' as const])]
  await writeRestoreMarker(stateDir, { install, at, schema, stays })
  if (before === null) return stays
  for (const path of here) if (!isOf(stays, path)) await rm(join(stateDir, path), { force: true })
  if (keyStoreDir !== null) await rm(keyStoreDir, { recursive: true, force: true })
  return stays.filter((name) => found.includes(name))
}

async function restoreFiles(
  { stateDir, file, passphrase }: RestoreOptions,
  head: BackupHead,
  stays: readonly OfThisMachine[]
): Promise<number> {
  const write = fileWriter({ state: stateDir, 'key-store': head.keyStoreDir }, (path) => isOf(stays, path))
  let files = 0
  for await (const line of readBackup(file, passphrase)) {
    await write(line)
    if (line.kind === 'link' || (line.kind === 'file' && !line.more)) files += 1
  }
  return files
}

/** The schema, made where it is not, without a table. @param again what is in it is of an interrupted restore */
async function emptySchema({ head, stored, password }: Proved, again: boolean): Promise<Pool> {
  const { database: _, ...server } = databaseConnectionFrom(stored.values, password)
  const administrator = openPool(server, 1)
  try {
    const quoted = `\`${head.schema}\``
    if (again) await administrator.query(`DROP DATABASE IF EXISTS ${quoted}`)
    const [tables] = await administrator.query<RowDataPacket[]>(
      'SELECT table_name FROM information_schema.tables WHERE table_schema = ? LIMIT 1',
      [head.schema]
    )
    if (tables.length > 0) {
      throw new AppError('conflict', `The database ${head.schema} is not empty.`, {
        cure: 'Drop it when nobody needs it any more; a restore never writes over one.'
      })
    }
    await administrator.query(`CREATE DATABASE IF NOT EXISTS ${quoted} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
  } catch (thrown) {
    throw asDatabaseError(thrown)
  } finally {
    await administrator.end()
  }
  return openPool({ ...server, database: head.schema }, 3)
}

/** Into the tables as they were; what came to them since is done to the rows, too (by the database step, after this). */
async function restoreRows({ file, passphrase }: RestoreOptions, head: BackupHead, pool: Pool): Promise<number> {
  const then = await mkdtemp(join(tmpdir(), 'keyscaler-migrations-'))
  try {
    for (const { name } of head.migrations) await copyFile(join(migrations, name), join(then, name))
    await migrate(pool, then)
  } finally {
    await rm(then, { recursive: true, force: true })
  }
  await refuseChangedMigrations(head, pool)
  const write = tableWriter(pool)
  let rows = 0
  for await (const line of readBackup(file, passphrase)) {
    await write(line)
    if (line.kind === 'rows') rows += line.rows.length
  }
  return rows
}

async function refuseChangedMigrations({ migrations: made }: BackupHead, pool: Pool): Promise<void> {
  const [rows] = await pool.query<RowDataPacket[]>('SELECT name, checksum FROM schema_migrations')
  const now = new Map(rows.map(({ name, checksum }) => [String(name), String(checksum)]))
  const changed = made.find(({ name, checksum }) => now.get(name) !== checksum)
  if (changed !== undefined) throw new AppError('conflict', `Migration ${changed.name} is not the one of the backup.`)
}

interface Again {
  readonly pool: Pool
  readonly stored: StoredAnswers
  readonly secrets: Readonly<Record<string, string>>
}

/** The effects of one step, from its kept answers: each adopts what is there. The step stays as done as it was. */
async function applyAgain(
  id: StepId,
  { stateDir, steps, target, report }: RestoreOptions,
  again: Again
): Promise<void> {
  const { pool, stored, secrets } = again
  const boot = await openBootFile(stateDir)
  const { install } = boot.state()
  const step = steps.find((candidate) => candidate.id === id)
  if (step === undefined) throw new AppError('internal', `there is no step ${id}`)
  const noKms = () => Promise.reject(new AppError('out-of-order', 'The KMS is not asked by a restore.'))
  await step.restore(stored.values, secrets).apply(
    applyContext(id, {
      ...{ install, stateDir, answers: new Map(), deploy: target, watch: { phase: report }, kms: noKms },
      store: mysqlStore(pool, boot),
      keeper: openSecretKeeper(stateDir, install, () => Promise.resolve(null)),
      database: () => pool
    })
  )
}

/** Starts what was deployed: the KMS opens the token, and shows that it has this install's master key. One login. */
async function prove(options: RestoreOptions): Promise<Pick<RestoreResult, 'services' | 'remarks'>> {
  const { stateDir, steps, target, begins } = options
  const remarks: string[] = []
  const install = await openInstall({ stateDir, steps, target })
  try {
    begins('services')
    await target.resume().catch((thrown) => remarks.push(messageOf(thrown)))
    await topicsAgain(install, options).catch((thrown) => remarks.push(`The topics of Kafka: ${messageOf(thrown)}`))
    const services = await target.status()
    const sick = services.filter(({ state }) => state !== 'ready')
    return { services, remarks: [...remarks, ...sick.map(({ name, state, detail }) => `${name}: ${state}, ${detail}`)] }
  } finally {
    await install.close()
  }
}

/** They are in no backup: a cluster that never had them, or whose they were taken from, gets them again. */
async function topicsAgain(install: Install, options: RestoreOptions): Promise<void> {
  const [stored, pool] = [await install.storedAnswers('kafka'), install.database()]
  if (stored === undefined || stored.appliedAt === null || pool === null) return
  options.begins('topics')
  const password = await install.secretOf('kafka', 'password')
  await applyAgain('kafka', options, { pool, stored, secrets: password === undefined ? {} : { password } })
}
