/**
 * Takes an install away again: exactly what the ledger says we made, from any state of a half-finished one. What cannot be
 * brought back (keys in a token, a database with enrolled devices) only with its name typed; what stays is listed with
 * the reason. Killed anywhere and run again it goes on: `destroy.json` holds what was done.
 */
import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import { keyStoreFromRecord, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { EffectKind } from '../steps/apply-context.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { ConfirmedNames, UndoContext, Undone } from '../steps/undo-context.ts'
import { type DestroyForecast, destroyForecast, refuseUnreadable } from './destroy-forecast.ts'
import {
  type DestroyRecord,
  type DestroyRow,
  destroyFile,
  readDestroyRecord,
  writeDestroyRecord
} from './destroy-record.ts'
import type { Install } from './install.ts'
import { openCommands } from './prerequisites/commands.ts'
import { prerequisitesFolder } from './prerequisites/kept-database.ts'
import { type PrerequisiteGone, undoPrerequisites } from './prerequisites/undo-database.ts'

export interface DestroyItem {
  readonly step: string | null
  readonly kind: EffectKind | PrerequisiteGone['kind']
  readonly name: string
  /** `with the schema`: rows of the database, which go when it goes and stay when it is left. */
  readonly outcome: Undone | 'with the schema'
}

export interface DestroyResult {
  readonly install: string
  readonly items: readonly DestroyItem[]
}

export interface DestroyWatch {
  /** What is taken away next. */
  readonly begins: (kind: DestroyTask, name: string) => void
  /** What has to be done for it. */
  readonly phase: (title: string) => void
  /** In a destroy that goes on, also what was done before. */
  readonly done: (item: DestroyItem) => void
}

/** `around`: the state folder, and what the prerequisites made for the install. */
export type DestroyTask = EffectKind | 'around'

export interface DestroyGround {
  readonly install: Install
  readonly steps: readonly DefinedStep[]
  readonly confirmed: ConfirmedNames
  readonly watch: DestroyWatch
}

/**
 * @throws AppError conflict when keys would go and the database that they open stay without its name typed; that of the
 * undo that failed; run again, it goes on there
 */
export async function destroyInstall(ground: DestroyGround): Promise<DestroyResult> {
  const { install, watch } = ground
  const { stateDir } = install
  const forecast = await destroyForecast(install, ground.confirmed)
  refuseUnreadable(forecast, ground.confirmed)
  const record = (await readDestroyRecord(stateDir)) ?? (await begin(install, forecast))
  const keyStore = openOnce(stateDir, install)
  const context = undoContext(ground, keyStore.open)
  try {
    const topic = record.rows.find(({ kind, outcome }) => kind === 'topic' && outcome === null)
    if (topic !== undefined) {
      watch.begins(topic.kind, topic.name)
      watch.phase('Starting the services: the KMS opens what the broker asks for')
      await install.target.resume()
    }
    for (const row of record.rows) {
      if (row.outcome === null) watch.begins(row.kind, row.name)
      row.outcome ??= await undoOf(ground, row, context)
      await writeDestroyRecord(stateDir, record)
      watch.done({ ...row, outcome: row.outcome })
    }
  } finally {
    await keyStore.close()
  }
  watch.begins('around', stateDir)
  await install.target.stop()
  await install.close()
  const around = await undoPrerequisites(stateDir, openCommands(process.env.PATH ?? ''))
  for (const item of around) watch.done({ ...item, step: null })
  const items = [
    ...record.rows.map(({ outcome, ...row }) => ({ ...row, outcome: outcome ?? 'absent' }) as const),
    ...around.map((item) => ({ ...item, step: null }))
  ]
  await clearState(stateDir, items)
  return { install: record.install, items }
}

async function begin(install: Install, forecast: DestroyForecast): Promise<DestroyRecord> {
  const rows = forecast.rows.map(({ step, kind, name, ours }) => ({
    step,
    kind,
    name,
    outcome: ours ? null : { left: 'it was there before this install' }
  }))
  const record = { install: install.id, begunAt: new Date().toISOString(), rows }
  await writeDestroyRecord(install.stateDir, record)
  return record
}

async function undoOf(
  { steps }: DestroyGround,
  { step: id, kind, name }: DestroyRow,
  context: UndoContext
): Promise<DestroyItem['outcome']> {
  const undos = await steps.find((step) => step.id === id)?.undo()
  const undo = undos?.[kind]
  if (undo === undefined) return 'with the schema'
  try {
    return await undo(name, context)
  } catch (thrown) {
    const code = thrown instanceof AppError ? thrown.code : 'deploy-failed'
    throw new AppError(code, `The ${kind} ${name} could not be removed: ${messageOf(thrown)}`, {
      cause: thrown,
      cure: 'Mend the cause, then run keyscaler destroy again: it goes on from here.'
    })
  }
}

function undoContext({ install, confirmed }: DestroyGround, keyStore: UndoContext['keyStore']): UndoContext {
  return {
    stateDir: install.stateDir,
    confirmed,
    deploy: install.target,
    keyStore,
    database: () => {
      const pool = install.database()
      if (pool === null) throw new AppError('out-of-order', 'The database step was not done.')
      return pool
    },
    answersOf: async (step) => {
      const stored = await install.storedAnswers(step)
      if (stored === undefined) throw new AppError('out-of-order', `The step ${step} has no answers.`)
      return stored.values
    },
    secretOf: (step, field) => install.secretOf(step, field)
  }
}

/** One login for all keys, and none when no key is to go. */
function openOnce(stateDir: string, install: Install) {
  let opened: ReturnType<UndoContext['keyStore']> | undefined
  const open = async () => {
    const record = await readKeyStoreRecord(stateDir)
    if (record === null) return null
    const pin = await install.secretOf('kms', record.profile === 'nss' ? 'nssPassword' : 'password')
    if (pin === undefined) throw new AppError('conflict', 'The password of the key store was not kept.')
    return await openKeyStore(keyStoreFromRecord(record), pin, { guard: openPinGuard(stateDir) })
  }
  return {
    open: () => {
      opened ??= open()
      return opened
    },
    close: async () => {
      await (await opened?.catch(() => null))?.close()
    }
  }
}

/** Not of the install: the issuer of an evaluation licence, what is known of rejected passwords, and what the prerequisites must leave. */
const ofOthers = ['license-issuer', 'pin-guard', prerequisitesFolder] as const
const stays: ReadonlySet<string> = new Set([...ofOthers, 'wizard.lock', destroyFile, 'boot.json'])
const leftFile = 'left-behind.json'

/** The boot file goes last but one: until then the folder is known as an install that is being destroyed. */
export async function clearState(stateDir: string, items: readonly DestroyItem[]): Promise<void> {
  for (const name of await readdir(stateDir)) {
    if (!stays.has(name) && name !== leftFile) await rm(join(stateDir, name), { recursive: true, force: true })
  }
  const left = items.filter(({ outcome }) => typeof outcome === 'object')
  if (left.length > 0) await writePrivateFile(join(stateDir, leftFile), `${JSON.stringify(left, null, 2)}\n`)
  await rm(join(stateDir, 'boot.json'), { force: true })
  await rm(join(stateDir, destroyFile), { force: true })
}

/** After the lock is released: the folder itself, when nothing is left in it. */
export async function removeEmptyState(stateDir: string): Promise<void> {
  await rmdir(stateDir).catch(() => {})
}
