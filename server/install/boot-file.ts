/**
 * What must survive before there is a database: one 0600 file, replaced atomically. After the database step it holds
 * only where the database is; everything else lives in MySQL. A state folder with traces of an install and no boot
 * file means locked, never "start over".
 */
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateFile, readPrivateJson, writePrivateFile } from '../../lib/config/private-file.ts'
import { sealedText } from '../../lib/database/sealed.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { refuseHalfRestored } from './restore-marker.ts'
import { unusable } from './state-folder.ts'

const secretPlace = z.union([z.strictObject({ file: z.string() }), z.strictObject({ sealed: sealedText })])
const fieldValue = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])

export const storedAnswers = z.object({
  revision: z.int(),
  values: z.record(z.string(), fieldValue),
  secrets: z.record(z.string(), secretPlace),
  findings: z.array(z.looseObject({ id: z.string() })),
  actor: z.string(),
  at: z.string(),
  appliedAt: z.string().nullable()
})
export type StoredAnswers = z.infer<typeof storedAnswers>
export type SecretPlace = z.infer<typeof secretPlace>

const effect = z.object({
  step: z.string(),
  kind: z.string(),
  name: z.string(),
  state: z.enum(['intent', 'done']),
  at: z.string(),
  ours: z.boolean().default(true)
})

const bootState = z.object({
  version: z.literal(1),
  install: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().nullable(),
  /** Once true, answers below are only the database step's: where MySQL is. */
  databaseReady: z.boolean(),
  answers: z.record(z.string(), storedAnswers),
  ledger: z.array(effect),
  /** Answers that somebody cancelled while they were applied: they are not taken up by themselves. */
  held: z.object({ step: z.string(), revision: z.int() }).nullable().default(null)
})
export type BootState = z.infer<typeof bootState>

export interface BootFile {
  readonly state: () => BootState
  readonly change: (next: (state: BootState) => BootState) => Promise<void>
}

/**
 * False: there is no install here, and no trace of one. Changes nothing.
 * @throws AppError locked as openBootFile, and where a restore was begun and is not over; invalid-input when that is no folder,
 * or not for this user
 */
export async function hasInstall(stateDir: string): Promise<boolean> {
  const text = await readPrivateFile(join(stateDir, 'boot.json')).catch((thrown) => {
    throw unusable(stateDir, thrown)
  })
  await refuseHalfRestored(stateDir)
  if (text !== null) return true
  await refuseTraces(stateDir)
  return false
}

const damaged =
  'Put boot.json back from a copy of the folder. From a backup: move the folder away, drop the database and run keyscaler restore.'

/**
 * Reads, or begins, the install of a state folder.
 * @throws AppError locked when an install's traces are there without it, internal when it is damaged
 */
export async function openBootFile(stateDir: string): Promise<BootFile> {
  const path = join(stateDir, 'boot.json')
  const kept = await readPrivateJson(path, bootState, damaged)
  let state = kept ?? (await begin(stateDir))
  if (kept === null) await writePrivateFile(path, JSON.stringify(state, null, 2))
  let writing: Promise<void> = Promise.resolve()
  return {
    state: () => state,
    change: (next) => {
      state = next(state)
      const whole = JSON.stringify(state, null, 2)
      writing = writing.then(() => writePrivateFile(path, whole))
      return writing
    }
  }
}

async function refuseTraces(stateDir: string): Promise<void> {
  const traces = (await readdir(stateDir).catch(() => [])).filter((name) => name === 'credentials' || name === 'run')
  if (traces.length > 0) {
    throw new AppError('locked', `${stateDir} holds an install (${traces.join(', ')}) but its boot file is missing.`, {
      cure: 'Restore boot.json from a backup, or choose another --state folder.'
    })
  }
}

async function begin(stateDir: string): Promise<BootState> {
  await refuseTraces(stateDir)
  return {
    version: 1,
    install: randomUUID(),
    createdAt: new Date().toISOString(),
    finishedAt: null,
    databaseReady: false,
    answers: {},
    ledger: [],
    held: null
  }
}
