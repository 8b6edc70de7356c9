/** What a restore looks at before it touches anything: the whole file, and whether it may come back to this place. */
import { readdir } from 'node:fs/promises'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { migrations } from '../steps/database/upgrade.ts'
import { readBackup } from './backup.ts'
import type { BackupHead } from './backup-content.ts'
import { filesIn } from './backup-files.ts'
import { type StoredAnswers, storedAnswers } from './boot-file.ts'
import type { RestoreOptions } from './restore.ts'
import { allOfThisMachine, isOf, restoreMarker } from './restore-marker.ts'

/** What an install that was taken away leaves behind (destroy.ts), and the lock that we hold. */
const leftByOthers = new Set(['license-issuer', 'left-behind.json', 'wizard.lock', restoreMarker])

/** The files of a state folder without what others left in it. */
export function filesHere(stateDir: string): Promise<readonly string[]> {
  return filesIn(stateDir, (path) => !leftByOthers.has(path.split('/')[0] ?? '')).then(
    (found) => found.map(({ path }) => path),
    () => []
  )
}

export interface Proved {
  readonly head: BackupHead
  /** Where the database is, and as whom. */
  readonly stored: StoredAnswers
  readonly password: string
}

const databaseAnswers = z.object({ answers: z.object({ database: storedAnswers }) })

/** Reads it to its end; takes out what tells where the database goes. */
export async function proveBackup({ file, passphrase }: RestoreOptions): Promise<Proved> {
  let head: BackupHead | null = null
  const taken = new Map<string, string>()
  for await (const line of readBackup(file, passphrase)) {
    if (line.kind === 'head') head ??= line
    if (line.kind !== 'file' || line.root !== 'state' || !/^(boot\.json|credentials\/)/.test(line.path)) continue
    taken.set(line.path, `${taken.get(line.path) ?? ''}${Buffer.from(line.data, 'base64')}`)
  }
  const boot = databaseAnswers.safeParse(JSON.parse(taken.get('boot.json') ?? '{}'))
  if (head === null || !boot.success)
    throw new AppError('invalid-input', 'The backup does not say where its database was.')
  const stored = boot.data.answers.database
  const place = stored.secrets.dbPassword
  const password = place !== undefined && 'file' in place ? taken.get(`credentials/${place.file}`) : undefined
  return { head, stored, password: password ?? '' }
}

export async function refuseOtherPlace({ stateDir: place, keyStoreDir }: BackupHead, stateDir: string): Promise<void> {
  if (place !== stateDir) {
    throw new AppError('conflict', `This is a backup of ${place}, and its services name files in it.`, {
      cure: `Restore it there: --state ${place}`
    })
  }
  const files = (await filesHere(stateDir)).filter((path) => !isOf(allOfThisMachine, path))
  const there = new Set(files.map((path) => path.split('/')[0]))
  if (there.size > 0) {
    throw new AppError('conflict', `${stateDir} is not empty (${[...there].slice(0, 5).join(', ')}).`, {
      cure: 'Move it away, or take the install in it away: keyscaler destroy.'
    })
  }
  const keys = keyStoreDir === null ? [] : await readdir(keyStoreDir).catch(() => [])
  if (keys.length > 0) {
    throw new AppError('conflict', `The key store's folder ${keyStoreDir} is not empty.`, { cure: 'Move it away.' })
  }
}

export async function refuseOtherVersion({ migrations: made, product }: BackupHead): Promise<void> {
  const known = new Set(await readdir(migrations))
  const unknown = made.filter(({ name }) => !known.has(name))
  if (unknown.length === 0) return
  throw new AppError(
    'conflict',
    `The backup is of a later version (${product}): ${unknown[0]?.name} is not known here.`,
    {
      cure: 'Restore it with that version.'
    }
  )
}
