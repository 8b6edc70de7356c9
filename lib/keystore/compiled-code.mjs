// @ts-check
/**
 * Where Node keeps the compiled code of the children and their threads. Without it each of them strips the types of the same files again:
 * a third of a second of work for every opening, and 12 MB for every thread. Plain JavaScript, since server/cli.mjs imports it.
 */
import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Environment of a child: a folder that only we can write to, since what is in it is run; empty when there is none.
 * @returns {Readonly<Record<string, string>>}
 */
export function compiledCode() {
  const uid = process.getuid?.()
  if (uid === undefined) return {}
  const folder = join(tmpdir(), `keyscaler-compiled-${uid}`)
  try {
    mkdirSync(folder, { mode: 0o700, recursive: true })
    const found = lstatSync(folder)
    const ours = found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0
    return ours ? { NODE_COMPILE_CACHE: folder } : {}
  } catch {
    return {}
  }
}
