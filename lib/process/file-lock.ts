/**
 * A lock between processes that outlives none of them: a file that is created whole (link is atomic and fails when the
 * name is taken), names its owner by pid and start time, and is taken over when that process is gone.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { startTimeOf } from './start-time.ts'

const pollMs = 20
let counter = 0

/**
 * Waits until the lock is ours; answers the function that gives it back, or null when `waitMs` have passed.
 * @param path of the lock file; its folder must exist and be private
 */
export async function acquireFileLock(path: string, waitMs: number): Promise<(() => void) | null> {
  const giveUpAt = performance.now() + waitMs
  const me = identity(process.pid)
  if (me === null) throw new Error('this process has no start time in /proc')
  for (;;) {
    if (create(path, me)) return () => rmSync(path, { force: true })
    removeIfStale(path, me)
    if (performance.now() > giveUpAt) return null
    await pause(pollMs)
  }
}

/** False when the name is taken. */
function create(path: string, owner: string): boolean {
  const draft = `${path}.${process.pid}.${++counter}`
  writeFileSync(draft, owner, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Only one process at a time may remove a dead one's lock, else the second would remove the first one's new lock. */
function removeIfStale(path: string, me: string): void {
  if (!isStale(path)) return
  const broom = `${path}.broom`
  if (!create(broom, me)) {
    if (isStale(broom)) rmSync(broom, { force: true })
    return
  }
  if (isStale(path)) rmSync(path, { force: true })
  rmSync(broom, { force: true })
}

function isStale(path: string): boolean {
  let owner: string
  try {
    owner = readFileSync(path, 'utf8')
  } catch {
    return false // given back meanwhile
  }
  const pid = Number.parseInt(owner, 10)
  return Number.isNaN(pid) || identity(pid) !== owner
}

/** "pid starttime": a pid alone may have been given to another process since. */
function identity(pid: number): string | null {
  const startTime = startTimeOf(pid)
  return startTime === null ? null : `${pid} ${startTime}`
}
