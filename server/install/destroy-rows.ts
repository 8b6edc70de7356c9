/**
 * What a destroy goes through, in its order: what the ledger says, what one that was cut off has still to do, or, where the
 * database with the ledger is gone for good, what is known without it.
 */
import { z } from 'zod'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { catalog, type ServiceName } from '../../services/catalog.ts'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import type { EffectKind } from '../steps/apply-context.ts'
import { type DestroyRow, destroyOrder, leftBecause, readDestroyRecord, wasThere } from './destroy-record.ts'
import type { Install } from './install.ts'

/** What a person says is gone for good: it is not asked for any more, and what was in it is listed as left. */
export interface Gone {
  readonly database: boolean
  readonly kafka: boolean
}

/** Of these the database knows what they are, or how to reach them. */
const knownByDatabase: ReadonlySet<EffectKind> = new Set([
  'topic',
  'certificate-authority',
  'key',
  'key-store',
  'database-user',
  'migration',
  'schema'
])

/** @throws AppError database-unavailable when there is no ledger to be read; invalid-input when what is said to be gone answers */
export async function destroyRows(install: Install, gone: Gone): Promise<readonly DestroyRow[]> {
  if (gone.database) await refuseWhatAnswers(install)
  const record = await readDestroyRecord(install.stateDir)
  const rows = record === null ? await firstRows(install, gone) : triedAgain(record.rows)
  return rows.map((row) => (row.outcome === null ? withoutWhatIsGone(row, gone) : row))
}

/** "Mend the cause" and, for what may never come back, the way without it. */
export function cureFor(kind: EffectKind): string {
  const again = 'Mend the cause, then run keyscaler destroy again: it goes on from here.'
  if (kind === 'topic') return `${again} If Kafka is gone for good: --gone kafka.`
  return knownByDatabase.has(kind) ? `${again} If the database is gone for good: --gone database.` : again
}

/**
 * What was left for want of a name is asked about again, for the name may be given now; but not once the database is gone, in
 * which the names of keys were.
 */
function triedAgain(rows: readonly DestroyRow[]): readonly DestroyRow[] {
  const isDropped = rows.some(
    ({ kind, outcome }) => (kind === 'migration' || kind === 'schema') && outcome === 'removed'
  )
  if (isDropped) return rows
  const mayGoNow = (row: DestroyRow) => leftBecause(row) !== null && leftBecause(row) !== wasThere.left
  return rows.map((row) => (mayGoNow(row) ? { ...row, outcome: null } : row))
}

function withoutWhatIsGone(row: DestroyRow, gone: Gone): DestroyRow {
  if (gone.kafka && row.kind === 'topic')
    return { ...row, outcome: { left: 'Kafka was said to be gone (--gone kafka)' } }
  if (!gone.database || !knownByDatabase.has(row.kind)) return row
  return { ...row, outcome: { left: 'the database was said to be gone (--gone database), which is asked for it' } }
}

async function firstRows(install: Install, gone: Gone): Promise<readonly DestroyRow[]> {
  if (gone.database) return await rowsWithoutLedger(install)
  const ledger = await readLedger(install)
  return destroyOrder.flatMap((kind) =>
    ledger
      .filter((row) => row.kind === kind && row.state !== 'undone')
      .map(({ step, name, ours }) => ({ step, kind, name, outcome: ours ? null : wasThere }))
      .toReversed()
  )
}

async function readLedger(install: Install) {
  try {
    return await install.ledger()
  } catch (thrown) {
    throw new AppError(
      'database-unavailable',
      `What this install has made stands in its database, which cannot be read: ${messageOf(thrown)}`,
      {
        cause: thrown,
        cure: 'Start the database, then run keyscaler destroy again. If it is gone for good: keyscaler destroy --gone database takes away what is on this machine, and lists the rest.'
      }
    )
  }
}

async function refuseWhatAnswers(install: Install): Promise<void> {
  const answers = await install.ledger().then(
    () => true,
    () => false
  )
  if (!answers) return
  throw new AppError('invalid-input', 'The database of this install answers: it is not gone.', {
    cure: 'Leave out --gone database; a database with enrolled devices stays unless it is named.'
  })
}

/** Of the MQS's configuration. */
const topicsOf = z.object({ deviceTopic: z.string(), probeTopic: z.string() })

async function rowsWithoutLedger({ stateDir, storedAnswers }: Install): Promise<readonly DestroyRow[]> {
  const names = (Object.keys(catalog) as ServiceName[]).toReversed()
  const configs = await Promise.all(names.map((name) => readDeployedConfig(runFolder(stateDir, name))))
  const services = names.filter((_, index) => configs[index] !== null)
  const mqs = topicsOf.safeParse(configs[names.indexOf('mqs')])
  const token = await readKeyStoreRecord(stateDir)
  const { dbHost, dbPort, dbName } = (await storedAnswers('database'))?.values ?? {}
  const left = (step: string, kind: EffectKind, name: string, why: string): DestroyRow => ({
    step,
    kind,
    name,
    outcome: { left: `${why} (--gone database)` }
  })
  const todo = (step: string, kind: EffectKind, name: string): DestroyRow => ({ step, kind, name, outcome: null })
  return [
    ...(mqs.success ? [mqs.data.deviceTopic, mqs.data.probeTopic] : []).map((topic) =>
      left('kafka', 'topic', topic, 'how to reach the broker was in the database; by hand: delete the topic')
    ),
    ...services.map((name) => todo(name, 'service', name)),
    ...services.map((name) => todo(name, 'certificate', name)),
    todo('kms', 'certificate', 'wizard'),
    ...(token === null ? [] : [left('kms', 'key', 'of this install', keysWords(token))]),
    left(
      'database',
      'schema',
      String(dbName),
      `should ${dbHost}:${dbPort} come back, by hand: DROP DATABASE, and DROP USER of ${names.map((name) => `${dbName}_${name}`).join(', ')}`
    )
  ]
}

type Token = NonNullable<Awaited<ReturnType<typeof readKeyStoreRecord>>>

function keysWords({ label, serial, folder, masterKey }: Token): string {
  const place = folder === null ? `${label}, serial ${serial}` : `the folder ${folder}`
  const master = masterKey === null ? '' : `; the master key has the CKA_ID ${masterKey.id}`
  return `in ${place}${master}; those of the others were in the database; by hand: find them with the tools of the HSM`
}
