/** One wizard a state folder: serve and apply never work in it at the same time. A dead holder's lock is taken over. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../lib/errors/app-error.ts'
import { acquireFileLock } from '../../lib/process/file-lock.ts'
import { makeStateFolder, unusable } from './state-folder.ts'

/** Enough for a dead holder's lock to be taken over. */
const takeOverMs = 300

/** @returns releases the lock. @throws AppError conflict naming who holds it and since when, as makeStateFolder */
export async function takeStateLock(stateDir: string): Promise<() => void> {
  await makeStateFolder(stateDir)
  const path = join(stateDir, 'wizard.lock')
  const release = await acquireFileLock(path, takeOverMs).catch((thrown) => {
    throw unusable(stateDir, thrown)
  })
  if (release !== null) return release
  const { who, serves } = await holderOf(path)
  throw new AppError('conflict', `${who} works in ${stateDir}.`, { cure: serves ? whileServing : whileWorking })
}

const whileWorking = 'Wait for it, or stop it, then run this again.'
const whileServing =
  'It is keyscaler serve: stop it, which stops the services too, then run this again. Answers it takes as it runs: POST /setup/apply (docs/api/README.md), after keyscaler unlock when setup is finished.'

interface Holder {
  readonly who: string
  /** It does not end by itself. */
  readonly serves: boolean
}

async function holderOf(path: string): Promise<Holder> {
  try {
    const [owner, { mtime }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const pid = Number.parseInt(owner, 10)
    return { who: `Another keyscaler (pid ${pid}, since ${mtime.toISOString()})`, serves: await isServing(pid) }
  } catch {
    return { who: 'Another keyscaler', serves: false }
  }
}

async function isServing(pid: number): Promise<boolean> {
  const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
  return command.includes('serve')
}
