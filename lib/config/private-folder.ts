/** Folders that only we may enter. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder (0700) and those above it that are not there. Not by mkdir's `recursive`: where a folder is there and
 * nothing can be made in it (ENOENT in /proc), Node 24 tries for ever.
 * @throws what the system says: EEXIST when something else has the name, ENOENT, ENOTDIR, EACCES, EROFS
 */
export async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (thrown) {
    const code = systemCodeOf(thrown)
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path) throw thrown
    await makePrivateFolder(dirname(path))
    await mkdir(path, { mode: 0o700 }).catch(async (again: unknown) => {
      // Somebody else has made it meanwhile.
      if (systemCodeOf(again) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw again
    })
  }
}

/** The code of a system error (`EACCES`); undefined: it is none. */
export function systemCodeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}
