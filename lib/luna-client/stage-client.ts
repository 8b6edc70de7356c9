/** Brings a DPoD client, as it was downloaded or unpacked, whole into a staging folder. */
import { createReadStream } from 'node:fs'
import { open, opendir, readlink, rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { ArchiveMeter, refused } from './archive-bounds.ts'
import { Staging } from './staging.ts'
import { unpackTar } from './unpack-tar.ts'
import { unpackZip } from './unpack-zip.ts'

export const clientLibrary = 'libs/64/libCryptoki2.so'
const linuxClient = 'cvclient-min.tar'
/** The Windows client, and what we leave beside a client ourselves. */
const notOurs = /(^|\/)(cvclient-min\.zip|\.keyscaler-[^/]*)$/

export interface StagedClient {
  readonly folder: string
  readonly links: ReadonlyMap<string, string>
}

/** @throws AppError invalid-input for what is no client, or not there */
export async function stageClient(source: string, folder: string): Promise<StagedClient> {
  const info = await stat(source).catch((cause: unknown) => {
    throw new AppError('invalid-input', `There is no ${source}.`, { cure: 'Name the zip as it was downloaded.', cause })
  })
  return info.isDirectory() ? await stageFolder(source, folder) : await stageZip(source, info.size, folder)
}

/** A client that lies in its place already: only what its tar still holds is brought in. */
export async function stageRest(place: string, folder: string): Promise<StagedClient> {
  const tar = join(place, linuxClient)
  const size = await sizeOf(tar)
  const complete = (await sizeOf(join(place, clientLibrary))) !== null
  const staging = new Staging(folder, new ArchiveMeter(size ?? 0))
  if (!complete && size !== null) await unpackTar(createReadStream(tar), staging)
  return staging
}

async function stageZip(zip: string, size: number, folder: string): Promise<StagedClient> {
  const meter = new ArchiveMeter(size)
  await unpackZip(zip, new Staging(folder, meter), (name) => notOurs.test(name))
  const root = await rootOf(folder)
  const staging = new Staging(root, meter)
  await unpackLinuxClient(root, staging)
  return staging
}

async function stageFolder(source: string, folder: string): Promise<StagedClient> {
  const root = await rootOf(source)
  const meter = new ArchiveMeter(Number.POSITIVE_INFINITY)
  const staging = new Staging(folder, meter)
  for await (const entry of await opendir(root, { recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(root, path)
    if (notOurs.test(name)) continue
    if (entry.isSymbolicLink()) await staging.addLink(name, await readlink(path))
    if (!entry.isFile()) continue
    const file = await open(path)
    const { mode } = await file.stat()
    await staging.addFile(name, (mode & 0o111) !== 0, file.createReadStream())
  }
  await unpackLinuxClient(folder, staging)
  return staging
}

/** The tar is of no use afterwards, and as large as all the rest. */
async function unpackLinuxClient(folder: string, staging: Staging): Promise<void> {
  const tar = join(folder, linuxClient)
  if ((await sizeOf(tar)) === null) return
  const stream = createReadStream(tar)
  try {
    await unpackTar(stream, staging)
  } finally {
    stream.destroy()
  }
  await rm(tar)
}

/** Where Chrystoki.conf lies: at the top, or in the one folder that some tools put around everything. */
async function rootOf(folder: string): Promise<string> {
  if ((await sizeOf(join(folder, 'Chrystoki.conf'))) !== null) return folder
  for await (const entry of await opendir(folder)) {
    const below = join(folder, entry.name)
    if (entry.isDirectory() && (await sizeOf(join(below, 'Chrystoki.conf'))) !== null) return below
  }
  throw refused('holds no Chrystoki.conf, so it is no client of Data Protection on Demand')
}

async function sizeOf(path: string): Promise<number | null> {
  return await stat(path).then(
    (info) => (info.isFile() ? info.size : null),
    () => null
  )
}
