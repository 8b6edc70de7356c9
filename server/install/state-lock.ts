/** One wizard a state folder: a lock file with pid and start time; a dead holder's lock is taken over. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'

interface Holder {
  readonly pid: number
  readonly startTime: string
  readonly command: string
  readonly since: string
}

/** @returns releases the lock. @throws AppError conflict naming who holds it and since when */
export async function takeStateLock(stateDir: string, command: string): Promise<() => Promise<void>> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const path = join(stateDir, 'wizard.lock')
  const mine: Holder = {
    pid: process.pid,
    startTime: (await startTimeOf(process.pid)) ?? '',
    command,
    since: new Date().toISOString()
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(path, JSON.stringify(mine), { flag: 'wx', mode: 0o600 })
      return () => rm(path, { force: true })
    } catch (thrown) {
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown
      const holder = await holderOf(path)
      if (holder !== null && holder.startTime === (await startTimeOf(holder.pid))) {
        throw new AppError('conflict', `${holder.command} (pid ${holder.pid}) has worked here since ${holder.since}.`, {
          cure: 'Wait for it, or stop it, then run this again.'
        })
      }
      await rm(path, { force: true })
    }
  }
  throw new AppError('conflict', `${path} could not be taken.`, { cure: 'Run this again.' })
}

async function holderOf(path: string): Promise<Holder | null> {
  try {
    const text = await readPrivateFile(path)
    return text === null ? null : (JSON.parse(text) as Holder)
  } catch {
    return null
  }
}

/** Field 22 of /proc/<pid>/stat: tells a process from a later one with the same number. Null when it is gone. */
async function startTimeOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}
