/**
 * Drafts that a kill left behind: files are written whole under another name first (private-file.ts, file-lock.ts, the PIN
 * guard's records), and that name holds the writer's pid.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startTimeOf } from '../../lib/process/start-time.ts'

const draft =
  /\.(\d+)(?:\.[0-9a-f]{12}\.tmp|\.new|(?<=\.lock(?:\.claim-[0-9a-f]{24})?\.\d+)\.\d+|(?<=\/hmac\.key\.\d+))$/

/**
 * Removes drafts whose writer is gone; services that live may be writing theirs.
 * @returns their names, relative to the state folder
 */
export async function sweepTornFiles(stateDir: string): Promise<readonly string[]> {
  const names = await readdir(stateDir, { recursive: true })
  const torn = names.filter((name) => {
    const pid = draft.exec(name)?.[1]
    return pid !== undefined && startTimeOf(Number(pid)) === null
  })
  for (const name of torn) await rm(join(stateDir, name), { force: true })
  return torn
}
