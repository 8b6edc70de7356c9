/**
 * Sets up a client of Data Protection on Demand from its zip, or from a folder where somebody unpacked it: the guide's
 * DPoD items 1 to 5 in one go. On the host only, never by upload: a page must not bring native code in (security.md A15).
 * The archive is unpacked and judged in a private folder first. No login.
 */
import { mkdir, mkdtemp, opendir, readFile, realpath, rm, rmdir, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { AppError } from '../errors/app-error.ts'
import { inspectModuleFile } from '../keystore/elf.ts'
import { probeToken } from '../keystore/probe.ts'
import type { ProbeFacts } from '../keystore/probe-messages.ts'
import { acquireFileLock } from '../process/file-lock.ts'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { type CertificateFact, inspectCertificates } from './client-certificates.ts'
import { type ClientConfiguration, clientConfiguration } from './client-configuration.ts'
import { adjustInPlace, placeClient, type Readers } from './place-client.ts'
import { type HsmProposal, writeHsmProposal } from './proposal.ts'
import { clientLibrary, stageClient, stageRest } from './stage-client.ts'

export interface ImportOrder {
  /** Absolute path of the zip, or of a folder. */
  readonly source: string
  /** Absolute; without it a zip goes to /opt/dpod, and a folder stays where it is. */
  readonly into?: string | undefined
  /** The install that the client is for. */
  readonly stateDir: string
}

export interface ImportedClient {
  /** Something was written. */
  readonly changed: boolean
  /** Paths in `confPath` that were written. */
  readonly files: readonly string[]
  readonly library: string
  /** Goes into ChrystokiConfigurationPath. */
  readonly confPath: string
  readonly configuration: ClientConfiguration
  readonly certificates: readonly CertificateFact[]
  /** What the library showed; its `slots` are the partitions. */
  readonly seen: ProbeFacts
  readonly proposal: HsmProposal
}

/** The guide's folder (DPoD, item 1). */
const usualFolder = '/opt/dpod'
const unpacking = '.keyscaler-unpack-'

/**
 * @param report a line for each part of the work
 * @throws AppError invalid-input for an archive that is refused, conflict when files of others are in the way or another
 *   import works there, forbidden where this user may not write, check-failed for a library of another machine
 */
export async function importDpodClient(
  order: ImportOrder,
  report: (line: string) => void = () => undefined
): Promise<ImportedClient> {
  const { confPath, made } = await destination(order)
  let files: readonly string[]
  try {
    files = await bringIn(order.source, confPath, await readersFor(order.stateDir), report)
  } catch (thrown) {
    if (made) await rmdir(confPath).catch(() => undefined)
    throw thrown instanceof AppError ? thrown : notWritable(confPath, thrown)
  }
  const library = join(confPath, clientLibrary)
  const text = await readFile(join(confPath, 'Chrystoki.conf'), 'utf8')
  const configuration = clientConfiguration(parseChrystokiConf(text))
  const certificates = await inspectCertificates(configuration.certificates)
  report('Listing the partitions (no login) …')
  const config = { profile: 'gemalto-safenet', module: library, confPath, slot: 0, partition: '' } as const
  const seen = await probeToken(config)
  const proposal = propose(library, confPath, seen)
  const proposed = await writeHsmProposal(order.stateDir, proposal)
  return {
    changed: files.length > 0 || proposed,
    files,
    library,
    confPath,
    configuration,
    certificates,
    seen,
    proposal
  }
}

async function destination({ source, into }: ImportOrder): Promise<{ confPath: string; made: boolean }> {
  const isFolder = await stat(source).then(
    (info) => info.isDirectory(),
    () => false
  )
  const wanted = into ?? (isFolder ? source : usualFolder)
  // These would end a value in Chrystoki.conf, an environment file, or a parameter of the key store.
  if (!isAbsolute(wanted) || /[;{}="'\\$`\p{Cc}]/u.test(wanted)) {
    throw new AppError('invalid-input', `The client cannot lie in ${wanted}: choose a plain, absolute path.`)
  }
  try {
    const made = (await mkdir(wanted, { recursive: true, mode: 0o755 })) !== undefined
    return { confPath: await realpath(wanted), made }
  } catch (cause) {
    throw notWritable(wanted, cause)
  }
}

async function bringIn(
  source: string,
  confPath: string,
  readers: Readers,
  report: (line: string) => void
): Promise<readonly string[]> {
  const unlock = await acquireFileLock(join(confPath, '.keyscaler-lock'), 0)
  if (unlock === null) throw new AppError('conflict', `Another import works in ${confPath}.`)
  try {
    await removeLeftovers(confPath)
    const folder = await mkdtemp(join(confPath, unpacking))
    try {
      const inPlace = (await realpath(source).catch(() => source)) === confPath
      report(inPlace ? `Looking at the client in ${confPath} …` : `Unpacking ${source} …`)
      const staged = inPlace ? await stageRest(confPath, folder) : await stageClient(source, folder)
      await judgeLibrary(staged.folder, inPlace ? confPath : null)
      const files = await placeClient(staged, confPath, readers)
      return inPlace && (await adjustInPlace(confPath)) ? [...files, 'Chrystoki.conf'] : files
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  } finally {
    unlock()
  }
}

/** Before anything is put in its place: a client for Windows or another processor would only be in the way. */
async function judgeLibrary(folder: string, inPlace: string | null): Promise<void> {
  let file = await inspectModuleFile(join(folder, clientLibrary))
  if (file.problem === 'missing' && inPlace !== null) file = await inspectModuleFile(join(inPlace, clientLibrary))
  if (file.problem === null) return
  if (file.problem === 'missing') {
    throw new AppError('invalid-input', `There is no Linux client in it (${clientLibrary}).`, {
      cure: 'The zip of Data Protection on Demand holds cvclient-min.tar; download the client again.'
    })
  }
  const kind = file.architecture ?? 'unknown'
  throw new AppError('check-failed', `${clientLibrary} cannot be loaded here (${file.problem}; it is for ${kind}).`, {
    cure: 'Run the wizard on an x86-64 Linux server, or download the client for this one.'
  })
}

function propose(library: string, confPath: string, { slots }: ProbeFacts): HsmProposal {
  const ready = slots.filter(({ flags }) => flags.tokenInitialized)
  const [only] = ready.length === 1 ? ready : []
  const at = new Date().toISOString()
  if (only === undefined) return { library, confPath, at }
  return { library, confPath, slot: only.slot, partition: only.label, serial: only.serial, at }
}

/** Root imports for a wizard that may run as somebody else: whoever owns the state folder must read Chrystoki.conf. */
async function readersFor(stateDir: string): Promise<Readers> {
  const owner = await stat(stateDir).catch(() => null)
  return { gid: process.getuid?.() === 0 && owner !== null && owner.uid !== 0 ? owner.gid : null }
}

/** Of an import that was killed. The lock is ours, so nobody unpacks there now. */
async function removeLeftovers(confPath: string): Promise<void> {
  for await (const entry of await opendir(confPath)) {
    if (/^\.keyscaler-(unpack|draft)-/.test(entry.name)) {
      await rm(join(confPath, entry.name), { recursive: true, force: true })
    }
  }
}

function notWritable(folder: string, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOSPC') {
    return new AppError('check-failed', `${folder}: the disk is full.`, { cure: 'Free some space.', cause })
  }
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') return cause
  return new AppError('forbidden', `This user may not write in ${folder}.`, {
    cure: 'Run this as root (sudo), or choose another folder with --into.',
    cause
  })
}
