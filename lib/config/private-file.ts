/** Files that only we may read: written whole or not at all (temp, fsync, rename), 0600, in 0700 folders. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { makePrivateFolder } from './private-folder.ts'

/** Replaces the file atomically; a crash leaves the old one or the new one. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  await makePrivateFolder(dirname(path))
  // The pid tells whoever finds it after a kill that nobody writes it any more.
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw cause
  }
  const folder = await open(dirname(path), constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Null when there is none. @throws AppError forbidden when others may read it. */
export async function readPrivateFile(path: string): Promise<string | null> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) {
      throw new AppError('forbidden', `${path} may be read by others (mode ${(mode & 0o777).toString(8)}).`, {
        cure: `chmod 600 ${path}`
      })
    }
    return await readFile(path, 'utf8')
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null
    throw thrown
  }
}

/**
 * A file of JSON that we wrote ourselves.
 * @param schema throws on what is not in the form
 * @param cure what to do when it is damaged: cut off by a full disk, or edited
 * @returns null when there is none
 * @throws AppError internal when it is damaged, naming the file; forbidden as `readPrivateFile`
 */
export async function readPrivateJson<T>(
  path: string,
  schema: { readonly parse: (value: unknown) => T },
  cure: string
): Promise<T | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    // Not the parser's own words: they quote what is there, which may be a secret.
    const why = cause instanceof SyntaxError ? 'it is no whole JSON' : 'it is not in the form in which it is written'
    throw new AppError('internal', `${path} is damaged: ${why}.`, { cause, cure })
  }
}
