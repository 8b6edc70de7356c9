/** The sandbox folder that stays between starts: one user at a time, wiped only when it is really one. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const markOf = (dir: string): string => join(dir, 'sandbox.pid')

/**
 * Takes the folder for this process, made when it is absent; given back when the process ends.
 * @param fresh begin with an empty one
 * @throws Error when another process has it, or when it holds something that no sandbox made
 */
export function takeFolder(dir: string, fresh: boolean): void {
  const mark = markOf(dir)
  if (existsSync(mark)) {
    const pid = readFileSync(mark, 'utf8').trim()
    if (isSandbox(pid)) throw new Error(`The sandbox in ${dir} is in use by process ${pid}. Stop that one first.`)
  } else if (existsSync(dir) && readdirSync(dir).length > 0) {
    throw new Error(`${dir} holds something that is not a sandbox. Give an empty or a new folder.`)
  }
  if (fresh) rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  writeFileSync(mark, `${process.pid}\n`) // Stays behind as the mark of a sandbox; its process then is gone.
}

/** Is that process a sandbox? Pids come again, so the program is looked at. */
function isSandbox(pid: string): boolean {
  if (pid === String(process.pid)) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('sandbox/')
  } catch {
    return false
  }
}
