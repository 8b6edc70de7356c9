/**
 * Writes an install into one encrypted file: its state folder, its database, and the key store where that is a folder. The keys
 * of a token stay in it: they are wrapped by nothing that could leave it, and the same token, or its own backup, opens what is in
 * here. Services may run meanwhile; a change of setup in between makes it begin again.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { access, constants, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { RowDataPacket } from 'mysql2/promise'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'
import manifest from '../../package.json' with { type: 'json' }
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { opened, sealed } from './backup-cipher.ts'
import { type BackupHead, type BackupLine, backupLine } from './backup-content.ts'
import { fileLines, filesDigest } from './backup-files.ts'
import { tableLines } from './backup-tables.ts'
import type { Install } from './install.ts'

export interface BackupResult {
  readonly file: string
  readonly bytes: number
  readonly files: number
  readonly rows: number
  /** The keys are in it too: a software key store. */
  readonly keysIncluded: boolean
}

const shortest = 12
const tries = 3

/** @throws AppError invalid-input */
export function refuseWeakPassphrase(passphrase: string): void {
  if ([...passphrase].length >= shortest) return
  throw new AppError('invalid-input', `The passphrase must have at least ${shortest} characters.`, {
    cure: 'Whoever finds the file can try passphrases at leisure: take several words.'
  })
}

/**
 * What lies in the folders that a backup is made of goes into the next one, and with the install when that is destroyed.
 * @throws AppError invalid-input
 */
async function refusePlace(stateDir: string, file: string): Promise<void> {
  const folder = dirname(file)
  if ((await stat(folder).catch(() => null))?.isDirectory() !== true) {
    throw new AppError('invalid-input', `${file} cannot be written: there is no folder ${folder}.`, {
      cure: 'Make the folder, or name a file in another one: --to.'
    })
  }
  await access(folder, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw new AppError('invalid-input', `${file} cannot be written: ${messageOf(cause)}`, {
      cause,
      cure: 'Name a file in a folder that you may write to: --to.'
    })
  })
  const place = await realpath(folder)
  const keyStore = await readKeyStoreRecord(stateDir)
  for (const part of [stateDir, keyStore?.folder ?? stateDir]) {
    const root = await realpath(part).catch(() => part)
    if (place !== root && !place.startsWith(`${root}${sep}`)) continue
    throw new AppError('invalid-input', `${file} lies in ${part}, which is what is backed up.`, {
      cure: 'Name a file outside, best on another disk: --to. keyscaler destroy would take it away with the install.'
    })
  }
}

/**
 * @param file must not be there yet; it appears whole, 0600, or not at all
 * @throws AppError invalid-input when it cannot be written there, or lies in the install itself; conflict when the file is there, or setup is being changed all the time; out-of-order before there is a database
 */
export async function writeBackup(install: Install, file: string, passphrase: string): Promise<BackupResult> {
  refuseWeakPassphrase(passphrase)
  await refusePlace(install.stateDir, file)
  if ((await stat(file).catch(() => null)) !== null) {
    throw new AppError('conflict', `${file} is there already.`, {
      cure: 'Name another file; a backup is never replaced.'
    })
  }
  const draft = `${file}.${process.pid}.tmp`
  try {
    for (let turn = 1; ; turn++) {
      const before = await filesDigest(install.stateDir)
      const counted = { files: 0, rows: 0 }
      const head = await headOf(install)
      await pipeline(
        Readable.from(textOf(linesOf(install, head, counted))),
        createGzip(),
        (plain: AsyncIterable<Uint8Array>) => sealed(plain, passphrase),
        createWriteStream(draft, { mode: 0o600, flags: 'w', flush: true })
      )
      if ((await filesDigest(install.stateDir)) === before) {
        await keep(draft, file)
        return { file, bytes: (await stat(file)).size, ...counted, keysIncluded: head.keyStoreDir !== null }
      }
      if (turn === tries)
        throw new AppError('conflict', 'The install is being changed: its files are others all the time.')
    }
  } finally {
    await rm(draft, { force: true })
  }
}

async function keep(draft: string, file: string): Promise<void> {
  await rename(draft, file)
  const folder = await open(dirname(file))
  await folder.sync().finally(() => folder.close())
}

async function headOf(install: Install): Promise<BackupHead> {
  const { id, stateDir } = install
  const database = install.database()
  const answers = await install.storedAnswers('database')
  if (database === null || answers === undefined) {
    throw new AppError('out-of-order', 'There is nothing to back up yet: the database step is not done.')
  }
  const [rows] = await database.query<RowDataPacket[]>('SELECT name, checksum FROM schema_migrations ORDER BY name')
  const keyStore = await readKeyStoreRecord(stateDir)
  return {
    kind: 'head',
    version: 1,
    install: id,
    at: new Date().toISOString(),
    product: manifest.version,
    stateDir,
    keyStoreDir: keyStore?.folder ?? null,
    schema: String(answers.values.dbName),
    migrations: rows.map(({ name, checksum }) => ({ name: String(name), checksum: String(checksum) }))
  }
}

async function* linesOf(
  { stateDir, database }: Install,
  head: BackupHead,
  counted: { files: number; rows: number }
): AsyncGenerator<BackupLine> {
  yield head
  const { keyStoreDir, schema } = head
  const inState = keyStoreDir?.startsWith(`${stateDir}/`) === true
  const folders = [
    ['state', stateDir] as const,
    ...(keyStoreDir === null || inState ? [] : [['key-store', keyStoreDir] as const])
  ]
  for (const [root, folder] of folders) {
    for await (const line of fileLines(root, folder)) {
      if (line.kind === 'link' || !line.more) counted.files += 1
      yield line
    }
  }
  const pool = database()
  if (pool === null) throw new AppError('internal', 'The database is gone.')
  for await (const line of tableLines(pool, schema)) {
    if (line.kind === 'rows') counted.rows += line.rows.length
    yield line
  }
  yield { kind: 'end', ...counted }
}

async function* textOf(lines: AsyncIterable<BackupLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`
}

/** @throws AppError invalid-input: there is no such file, or none that we may read */
async function refuseUnreadable(file: string): Promise<void> {
  const cure = 'Name the file that keyscaler backup wrote: --from.'
  try {
    if ((await stat(file)).isDirectory())
      throw new AppError('invalid-input', `${file} is a folder, no backup.`, { cure })
    await access(file, constants.R_OK)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    const there = !(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
    const why = there ? `${file} cannot be read: ${messageOf(cause)}` : `There is no file ${file}.`
    throw new AppError('invalid-input', why, { cause, cure })
  }
}

/**
 * The lines of a backup, each as soon as its chunk is known to be right. Read to the end once before anything is done with them.
 * @throws AppError invalid-input when there is no such file; that or check-failed as `opened`, check-failed when the end is missing
 */
export async function* readBackup(file: string, passphrase: string): AsyncGenerator<BackupLine> {
  await refuseUnreadable(file)
  const plain = createGunzip()
  const reading = pipeline(
    createReadStream(file),
    (bytes: AsyncIterable<Uint8Array>) => opened(bytes, passphrase),
    plain
  )
  // Told by the stream that it ends early, or below.
  reading.catch(() => {})
  let ended = false
  for await (const text of linesIn(plain)) {
    const line = backupLine.parse(JSON.parse(text))
    ended = line.kind === 'end'
    yield line
  }
  await reading
  if (!ended) throw new AppError('check-failed', 'The backup has no end.', { cure: 'Take another copy of the file.' })
}

/** Not node:readline: that says nothing of a stream that fails. */
async function* linesIn(plain: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for await (const piece of plain) {
    rest = Buffer.concat([rest, piece])
    let from = 0
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, from)) {
      yield rest.toString('utf8', from, end)
      from = end + 1
    }
    rest = rest.subarray(from)
  }
}
