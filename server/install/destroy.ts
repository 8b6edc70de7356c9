/**
 * Takes an install away again: exactly what the ledger says we made, from any state of a half-finished one. What cannot be
 * brought back (keys in a token, a database with enrolled devices) only with its name typed; what stays is listed with
 * the reason. Killed anywhere and run again it goes on: `destroy.json` holds what was done.
 */
import { readdir, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import { openKeyStore } from '../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import { keyStoreFromRecord, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { EffectKind } from '../steps/apply-context.ts'
import type { DefinedStep } from '../steps/define-step.ts'
import type { ConfirmedNames, UndoContext, Undone } from '../steps/undo-context.ts'
import { destroyForecast, refuseOtherNames, refuseUnreadable } from './destroy-forecast.ts'
import { type DestroyRow, destroyFile, readDestroyRecord, writeDestroyRecord } from './destroy-record.ts'
import { cureFor, destroyRows, type Gone } from './destroy-rows.ts'
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
  readonly gone: Gone
  readonly watch: DestroyWatch
}

/**
 * @throws AppError invalid-input for a name that is not of this install; conflict when keys would go and the database that they
 * open stay without its name typed; that of the undo that failed; run again, it goes on there
 */
export async function destroyInstall(ground: DestroyGround): Promise<DestroyResult> {
  const { install, confirmed, gone, watch } = ground
  const { stateDir } = install
  await refuseOtherNames(install, confirmed)
  refuseUnreadable(await destroyForecast(install, confirmed, gone), confirmed)
  const begunAt = (await readDestroyRecord(stateDir))?.begunAt ?? new Date().toISOString()
  const rows = (await destroyRows(install, gone)).map((row) => ({ ...row }))
  const record = { install: install.id, begunAt, rows }
  await writeDestroyRecord(stateDir, record)
  const keyStore = openOnce(stateDir, install)
  const context = undoContext(ground, keyStore.open)
  try {
    const topic = rows.find(({ kind, outcome }) => kind === 'topic' && outcome === null)
    if (topic !== undefined && (await isBrokerPasswordSealed(install))) {
      watch.begins(topic.kind, topic.name)
      watch.phase('Starting the services: the KMS opens what the broker asks for')
      await install.target.resume()
    }
    for (const row of rows) {
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
    ...rows.map(({ outcome, ...row }) => ({ ...row, outcome: outcome ?? 'absent' }) as const),
    ...around.map((item) => ({ ...item, step: null }))
  ]
  await clearState(install, items)
  return { install: install.id, items }
}

/** Under the master key: then only a KMS that runs can open it. */
async function isBrokerPasswordSealed({ storedAnswers }: Install): Promise<boolean> {
  const place = (await storedAnswers('kafka'))?.secrets.password
  return place !== undefined && 'sealed' in place
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
      cure: cureFor(kind)
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
async function clearState({ id, stateDir }: Install, items: readonly DestroyItem[]): Promise<void> {
  for (const name of await readdir(stateDir)) {
    if (!stays.has(name) && !name.startsWith(leftFile)) await rm(join(stateDir, name), { recursive: true, force: true })
  }
  await addToLeft(
    join(stateDir, leftFile),
    items.filter(({ outcome }) => typeof outcome === 'object').map((item) => ({ install: id, ...item }))
  )
  await rm(join(stateDir, 'boot.json'), { force: true })
  await rm(join(stateDir, destroyFile), { force: true })
}

/** What earlier installs have left stays on the list: for keys it is all that tells of them. */
async function addToLeft(file: string, left: readonly object[]): Promise<void> {
  if (left.length === 0) return
  const before = listIn(await readPrivateFile(file))
  // Somebody has changed it; what it tells is not ours to drop.
  if (before === null) await rename(file, `${file}.${Date.now()}`)
  const known = new Set((before ?? []).map((item) => JSON.stringify(item)))
  const all = [...(before ?? []), ...left.filter((item) => !known.has(JSON.stringify(item)))]
  await writePrivateFile(file, `${JSON.stringify(all, null, 2)}\n`)
}

function listIn(text: string | null): readonly unknown[] | null {
  try {
    const list: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(list) ? list : null
  } catch {
    return null
  }
}

/** For one that was killed between its last two files: all else is gone. */
export async function forgetDestroy(stateDir: string): Promise<void> {
  await rm(join(stateDir, destroyFile), { force: true })
}

/** After the lock is released: the folder itself, when nothing is left in it. */
export async function removeEmptyState(stateDir: string): Promise<void> {
  await rmdir(stateDir).catch(() => {})
}
