/** The folder of an NSS key store, looked at without opening it. */
import { constants } from 'node:fs'
import { access, chown, mkdtemp, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { NssFolder } from './probe-messages.ts'

/** Files of a key store that softoken makes (sql: databases and SQLite's companions). */
const ours = /^(cert9|key4)\.db(-journal|-wal|-shm)?$|^pkcs11\.txt$/

export async function inspectNssFolder(path: string): Promise<NssFolder> {
  const info = await stat(path).catch(() => null)
  if (info === null) {
    return { path, exists: false, writable: await canBeMade(path), fresh: true, foreignFiles: [], openToOthers: false }
  }
  const names = info.isDirectory() ? await readdir(path).catch(() => []) : [path]
  return {
    path,
    exists: true,
    writable: info.isDirectory() && (await mayWrite(path)),
    fresh: !names.includes('key4.db'),
    foreignFiles: names.filter((name) => !ours.test(name)).slice(0, 20),
    openToOthers: (info.mode & 0o077) !== 0
  }
}

/** Removes a key store for good, and its folder when nothing else is in it. Nobody may have it open. */
export async function removeNssStore(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (ours.test(name)) await rm(join(folder, name), { force: true })
  if ((await readdir(folder)).length === 0) await rmdir(folder)
}

/**
 * Gives a private folder to a probe of a store that does not exist yet, and removes it whatever happens.
 * @param owner whose it is, where we may give it away; absent: ours
 */
export async function withScratchFolder<T>(
  use: (folder: string) => Promise<T>,
  owner?: { readonly uid: number; readonly gid: number } | undefined
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'keyscaler-nss-'))
  try {
    if (owner !== undefined && process.getuid?.() === 0) await chown(folder, owner.uid, owner.gid)
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function canBeMade(path: string): Promise<boolean> {
  const above = dirname(path)
  if (above === path) return false
  const info = await stat(above).catch(() => null)
  if (info === null) return await canBeMade(above)
  return info.isDirectory() && (await mayWrite(above))
}

async function mayWrite(path: string): Promise<boolean> {
  return await access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false
  )
}
