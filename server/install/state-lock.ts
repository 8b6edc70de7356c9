/** One wizard a state folder: serve and apply never work in it at the same time. A dead holder's lock is taken over. */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../lib/errors/app-error.ts'
import { acquireFileLock } from '../../lib/process/file-lock.ts'

/** Enough for a dead holder's lock to be taken over. */
const takeOverMs = 300

/** @returns releases the lock. @throws AppError conflict naming who holds it and since when */
export async function takeStateLock(stateDir: string): Promise<() => void> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const path = join(stateDir, 'wizard.lock')
  const release = await acquireFileLock(path, takeOverMs)
  if (release !== null) return release
  throw new AppError('conflict', `${await holderOf(path)} works in ${stateDir}.`, {
    cure: 'Wait for it, or stop it, then run this again.'
  })
}

async function holderOf(path: string): Promise<string> {
  try {
    const [owner, { mtime }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    return `Another keyscaler (pid ${Number.parseInt(owner, 10)}, since ${mtime.toISOString()})`
  } catch {
    return 'Another keyscaler'
  }
}
