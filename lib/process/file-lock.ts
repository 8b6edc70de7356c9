/**
 * A lock between processes that outlives none of them: a file that is created whole (link is atomic and fails when the
 * name is taken) and names its owner by pid and start time. When that process is gone, the lock is taken over.
 *
 * Taking over: whoever sees a dead owner's file must not simply remove it, for between the look and the removal another may
 * have done so and hold a new lock under the same name. So the right to replace one certain file is claimed first, by a
 * second file that is named after what is in the first. Only one process can create it. With the claim in hand it looks
 * again: when the dead owner's file is still there nobody else may touch it, and it is replaced in one step (rename); when it
 * is not, it never comes back (each has words of its own), and the claim is worth nothing. A claim whose owner is
 * gone, too, is claimed in the same way.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startTimeOf } from './start-time.ts'

const pollMs = 20

/**
 * Waits until the lock is ours; answers the function that gives it back, or null when `waitMs` have passed.
 * @param path of the lock file; its folder must exist and be private
 */
export async function acquireFileLock(path: string, waitMs: number): Promise<(() => void) | null> {
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const words = ownWords()
    if (create(path, words) || takeOver(path, words)) return once(() => rmSync(path, { force: true }))
    if (performance.now() > giveUpAt) return null
    await pause(pollMs)
  }
}

/** Given back twice, the second time would remove the lock of another. */
function once(release: () => void): () => void {
  let held = true
  return () => {
    if (held) release()
    held = false
  }
}

/** False when the name is taken. */
function create(path: string, words: string): boolean {
  return withDraft(path, words, (draft) => {
    try {
      linkSync(draft, path)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      throw error
    }
  })
}

/** True when the lock of a dead owner has become ours. */
function takeOver(path: string, words: string): boolean {
  const dead = wordsIn(path)
  if (dead === null || isAlive(dead)) return false
  const claim = claimOn(path, dead, words)
  if (claim === null) return false
  if (wordsIn(path) !== dead) {
    rmSync(claim, { force: true })
    return false
  }
  withDraft(path, words, (draft) => renameSync(draft, path))
  sweepClaims(path)
  return true
}

/**
 * Follows claims of the dead to their end.
 * @returns our claim; null when a living process has one
 */
function claimOn(path: string, dead: string, words: string): string | null {
  let last = dead
  for (;;) {
    const claim = `${path}.claim-${createHash('sha256').update(last).digest('hex').slice(0, 24)}`
    if (create(claim, words)) return claim
    const claimant = wordsIn(claim)
    if (claimant === null || isAlive(claimant)) return null
    last = claimant
  }
}

/** While we hold the lock no claim is worth anything: ours is alive, and those on others came too late. */
function sweepClaims(path: string): void {
  const folder = dirname(path)
  const lock = basename(path)
  // Not the drafts of claims, whose names go on: the living are about to link theirs.
  const isClaim = (name: string) =>
    name.startsWith(`${lock}.claim-`) && /^[0-9a-f]{24}$/.test(name.slice(lock.length + 7))
  for (const name of readdirSync(folder).filter(isClaim)) rmSync(join(folder, name), { force: true })
}

function withDraft<T>(path: string, words: string, use: (draft: string) => T): T {
  // Drawn, not counted: a process of the same number may have left one when it was killed.
  const draft = `${path}.${process.pid}.${randomInt(2 ** 47)}`
  writeFileSync(draft, words, { mode: 0o600, flag: 'wx' })
  try {
    return use(draft)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Null: given back meanwhile. */
function wordsIn(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** "pid starttime nonce": a pid alone may have been given to another process since, and no two files say the same. */
function ownWords(): string {
  const startTime = startTimeOf(process.pid)
  if (startTime === null) throw new Error('this process has no start time in /proc')
  return `${process.pid} ${startTime} ${randomBytes(9).toString('hex')}`
}

function isAlive(words: string): boolean {
  const [pid = '', startTime] = words.split(' ')
  return /^\d+$/.test(pid) && startTime !== undefined && startTimeOf(Number(pid)) === startTime
}
