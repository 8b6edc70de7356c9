/**
 * Puts a staged client in its place. What is there already and the same stays; what an earlier import wrote and nobody
 * changed since is replaced; anything else is somebody's, and nothing is written at all.
 */
import { hash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import {
  chmod,
  chown,
  copyFile,
  lstat,
  mkdir,
  opendir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile
} from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { isPlaced, withPathsIn } from './conf-paths.ts'
import type { StagedClient } from './stage-client.ts'

/** What an import wrote, beside the client, by path: its SHA-256 then. */
const manifestSchema = z.record(z.string(), z.string())
const manifestName = '.keyscaler-client.json'
const configuration = 'Chrystoki.conf'

interface Write {
  readonly path: string
  /** Text to write, or the staged file to copy, or where a link leads. */
  readonly from: { readonly text: string } | { readonly file: string } | { readonly link: string }
  readonly mode: number
}

/** Who may read what is not for everybody (Chrystoki.conf may hold a client secret): a group, or only the owner. */
export interface Readers {
  readonly gid: number | null
}

/**
 * @returns the paths that were written, in `into`; empty when all was there already
 * @throws AppError conflict, naming every file that is somebody else's, before anything is written
 */
export async function placeClient(staged: StagedClient, into: string, readers: Readers): Promise<readonly string[]> {
  const manifest = await readManifest(into)
  const writes: Write[] = []
  const foreign: string[] = []
  for (const path of await filesIn(staged.folder)) {
    const file = join(staged.folder, path)
    const state = await stateOf(join(into, path), into)
    if (path === configuration) {
      const write = await planConfiguration(file, into, state, manifest)
      if (write === 'foreign') foreign.push(path)
      else if (write !== null) writes.push(write)
      continue
    }
    const content = await readFile(file)
    if (state !== null && state === sha256(content)) continue
    if (state !== null && state !== manifest[path]) foreign.push(path)
    const executable = ((await lstat(file)).mode & 0o100) !== 0
    const secret = content.includes('PRIVATE KEY-----')
    writes.push({ path, from: { file }, mode: secret ? privateMode(readers) : executable ? 0o755 : 0o644 })
  }
  for (const [path, link] of staged.links) {
    const there = await readlink(join(into, path)).catch(() => null)
    if (there === link) continue
    if ((await stateOf(join(into, path), into)) !== null) foreign.push(path)
    writes.push({ path, from: { link }, mode: 0 })
  }
  if (foreign.length > 0) throw notOurs(into, foreign)
  return await writeAll(writes, into, readers, manifest)
}

/** The paths in a configuration that lies in its place already. @returns whether it was changed */
export async function adjustInPlace(into: string): Promise<boolean> {
  const path = join(into, configuration)
  const text = await readFile(path, 'utf8')
  const adjusted = withPathsIn(into, text)
  if (adjusted === text) return false
  const { mode, uid, gid } = await lstat(path)
  await replace(path, (draft) => writeFile(draft, adjusted, { mode: mode & 0o777, flag: 'wx' }))
  if (process.getuid?.() === 0) await chown(path, uid, gid)
  return true
}

async function planConfiguration(
  file: string,
  into: string,
  state: string | null,
  manifest: Readonly<Record<string, string>>
): Promise<Write | 'foreign' | null> {
  const wanted = withPathsIn(into, await readFile(file, 'utf8'))
  const write = (text: string): Write => ({ path: configuration, from: { text }, mode: 0o600 })
  if (state === null) return write(wanted)
  if (state === sha256(wanted)) return null
  if (state === manifest[configuration]) return write(wanted)
  // Edited since, or unpacked by hand and `setenv` run: theirs stays when it means the same partition.
  if (state === notAFile) return 'foreign'
  const theirs = await readFile(join(into, configuration), 'utf8')
  if (!agrees(theirs, wanted)) return 'foreign'
  const adjusted = withPathsIn(into, theirs)
  return adjusted === theirs ? null : write(adjusted)
}

/** Every value of the one, paths apart, stands in the other too. */
function agrees(theirs: string, wanted: string): boolean {
  const found = parseChrystokiConf(theirs)
  return [...parseChrystokiConf(wanted)].every(([section, values]) =>
    [...values].every(([key, value]) => isPlaced(key) || found.get(section)?.get(key) === value)
  )
}

const notAFile = 'no plain file'

/** SHA-256 of what is there; null for nothing. Folders on the way must be folders: a link would lead out. */
async function stateOf(path: string, into: string): Promise<string | null> {
  for (let folder = dirname(path); folder.length > into.length; folder = dirname(folder)) {
    const info = await lstat(folder).catch(() => null)
    if (info !== null && !info.isDirectory()) return notAFile
  }
  const info = await lstat(path).catch(() => null)
  if (info === null) return null
  return info.isFile() ? sha256(await readFile(path)) : notAFile
}

async function writeAll(
  writes: readonly Write[],
  into: string,
  readers: Readers,
  manifest: Readonly<Record<string, string>>
): Promise<readonly string[]> {
  const written: Record<string, string> = { ...manifest }
  for (const { path, from, mode } of writes) {
    const target = join(into, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    const given = 'text' in from ? privateMode(readers) : mode
    await replace(target, async (draft) => {
      if ('link' in from) return await symlink(from.link, draft)
      if ('text' in from) await writeFile(draft, from.text, { mode: 0o600, flag: 'wx' })
      else await copyFile(from.file, draft, constants.COPYFILE_EXCL)
      if (readers.gid !== null && (given & 0o007) === 0) await chown(draft, process.getuid?.() ?? 0, readers.gid)
      await chmod(draft, given)
    })
    if (!('link' in from)) written[path] = sha256(await readFile(target))
  }
  if (writes.length > 0) {
    const list = `${JSON.stringify(written, null, 2)}\n`
    await replace(join(into, manifestName), (draft) => writeFile(draft, list, { mode: 0o644, flag: 'wx' }))
  }
  return writes.map(({ path }) => path)
}

/** A reader sees the old file or the new one; a kill leaves a draft at most, which the next import removes. */
async function replace(path: string, make: (draft: string) => Promise<void>): Promise<void> {
  const draft = join(dirname(path), `.keyscaler-draft-${randomBytes(6).toString('hex')}`)
  try {
    await make(draft)
    await rename(draft, path)
  } catch (thrown) {
    await rm(draft, { force: true })
    throw thrown
  }
}

async function readManifest(into: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(join(into, manifestName), 'utf8').catch(() => '{}')
  try {
    return manifestSchema.parse(JSON.parse(text))
  } catch {
    return {} // Torn or edited: then nothing counts as ours.
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const files: string[] = []
  for await (const entry of await opendir(folder, { recursive: true })) {
    if (entry.isFile()) files.push(relative(folder, join(entry.parentPath, entry.name)))
  }
  return files.sort()
}

function privateMode({ gid }: Readers): number {
  return gid === null ? 0o600 : 0o640
}

function sha256(content: Uint8Array | string): string {
  return hash('sha256', content)
}

function notOurs(into: string, files: readonly string[]): AppError {
  const some = files.slice(0, 5).join(', ')
  const more = files.length > 5 ? ` and ${files.length - 5} more` : ''
  return new AppError('conflict', `${into} holds other files of the same name (${some}${more}); nothing was written.`, {
    cure: 'Choose another folder with --into, or move those files away.'
  })
}
