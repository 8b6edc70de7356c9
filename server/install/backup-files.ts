/** Which files belong to a backup, read in pieces, and written back. What only says who works here at this moment does not. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, readFile, readlink, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { AppError } from '../../lib/errors/app-error.ts'
import type { BackupLine } from './backup-content.ts'

const leftOut: readonly RegExp[] = [
  /^(sessions\.json|setup-code|unlock-request|kms-start-request|destroy\.json|left-behind\.json|restore\.json)$/,
  /^wizard\.lock/,
  // The secret of the participant was to be taken away from there.
  /^(shown-once|tokens|jobs)(\/|$)/,
  /^run\/[^/]+\/(pid\.json|ended\.json|service\.log.*)$/,
  /\.tmp$/
]

const pieceBytes = 512 * 1024

type Root = 'state' | 'key-store'
type FileLine = Extract<BackupLine, { kind: 'file' | 'link' }>

interface Found {
  readonly path: string
  readonly link: boolean
}

/** Files and links of a folder and of all in it, by their paths from it. */
export async function filesIn(folder: string, keep: (path: string) => boolean): Promise<Found[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .map((entry) => ({ path: relative(folder, join(entry.parentPath, entry.name)), entry }))
    .filter(({ path, entry }) => (entry.isFile() || entry.isSymbolicLink()) && keep(path))
    .map(({ path, entry }) => ({ path, link: entry.isSymbolicLink() }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

const belongs = (path: string) => !leftOut.some((pattern) => pattern.test(path))

/** @param root `key-store`: every file of it; `state`: what is needed to go on */
export async function* fileLines(root: Root, folder: string): AsyncGenerator<FileLine> {
  for (const { path, link } of await filesIn(folder, root === 'state' ? belongs : () => true)) {
    const from = join(folder, path)
    if (link) yield { kind: 'link', root, path, target: await readlink(from) }
    else yield* piecesOf(root, path, from)
  }
}

async function* piecesOf(root: Root, path: string, from: string): AsyncGenerator<FileLine> {
  const file = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { mode, size } = await file.stat()
    for (let at = 0; at === 0 || at < size; at += pieceBytes) {
      const { buffer, bytesRead } = await file.read({
        buffer: Buffer.alloc(Math.min(pieceBytes, size - at)),
        position: at
      })
      const data = buffer.subarray(0, bytesRead).toString('base64')
      yield { kind: 'file', root, path, mode: mode & 0o777, data, more: at + pieceBytes < size }
    }
  } finally {
    await file.close()
  }
}

/** Of names and contents: another one after the backup than before it means that something has changed in between. */
export async function filesDigest(stateDir: string): Promise<string> {
  const hash = createHash('sha256')
  for (const { path, link } of await filesIn(stateDir, belongs)) {
    hash.update(`${path}\0`).update(link ? await readlink(join(stateDir, path)) : await readFile(join(stateDir, path)))
  }
  return hash.digest('hex')
}

/**
 * Writes what lines of files say, each into a folder of its root.
 * @param skip paths of the state folder that stay as they are
 */
export function fileWriter(
  folders: Readonly<Record<Root, string | null>>,
  skip: (path: string) => boolean
): (line: BackupLine) => Promise<void> {
  /** The file whose pieces are coming. */
  let begun = ''
  return async (line) => {
    if (line.kind !== 'file' && line.kind !== 'link') return
    if (line.root === 'state' && skip(line.path)) return
    const path = within(folders[line.root], line.path)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    if (line.kind === 'link') return symlink(line.target, path)
    const from = path === begun ? constants.O_APPEND : constants.O_TRUNC
    begun = path
    // The pieces of one file follow one another; it is synced with its last one.
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | from | constants.O_NOFOLLOW, line.mode)
    try {
      await file.writeFile(Buffer.from(line.data, 'base64'))
      if (!line.more) await file.sync()
    } finally {
      await file.close()
    }
  }
}

function within(folder: string | null, path: string): string {
  const target = folder === null ? '' : resolve(folder, path)
  if (folder !== null && target.startsWith(`${folder}${sep}`)) return target
  throw new AppError('invalid-input', `The backup names a file that does not belong to it: ${path}.`)
}
