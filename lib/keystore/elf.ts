/**
 * What a PKCS#11 library file is, without loading it: dlopen runs its constructors, reports a library of another
 * architecture as "No such file", and opens node itself for an empty name (reference: pkcs11.md section 1).
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'

export type FileProblem =
  | 'not-absolute'
  | 'missing'
  | 'not-a-file'
  | 'unreadable'
  | 'not-elf'
  | 'not-64-bit'
  | 'wrong-architecture'
  | 'not-a-library'

export interface ModuleFile {
  readonly path: string
  /** The first thing that is wrong with it; null when it may be loaded. */
  readonly problem: FileProblem | null
  /** e.g. "x86-64", "AArch64"; null when it is no ELF file. */
  readonly architecture: string | null
  /** SHA-256 of the file, hex: evidence of which library was proved. Null when it was not read. */
  readonly sha256: string | null
  readonly bytes: number
  /** Others than its owner and root may replace it. */
  readonly writableByOthers: boolean
}

const architectures: Readonly<Record<number, string>> = {
  3: 'x86',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V'
}
const hostMachines: Readonly<Record<string, number>> = { x64: 62, arm64: 183, arm: 40, ia32: 3, riscv64: 243 }
/** e_type of a shared object (ELF header, System V ABI). */
const sharedObject = 3

/** Looks at the file at `path`. Never throws for what is wrong with the file: `problem` says it. */
export async function inspectModuleFile(path: string): Promise<ModuleFile> {
  const nothing = { path, architecture: null, sha256: null, bytes: 0, writableByOthers: false }
  if (!isAbsolute(path) || path.includes('\0')) return { ...nothing, problem: 'not-absolute' }
  let handle: FileHandle
  try {
    // Looked at before it is opened: opening a FIFO would wait for its other end.
    if (!(await stat(path)).isFile()) return { ...nothing, problem: 'not-a-file' }
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    return { ...nothing, problem: isMissing(error) ? 'missing' : 'unreadable' }
  }
  try {
    const info = await handle.stat()
    if (!info.isFile()) return { ...nothing, problem: 'not-a-file' }
    const content = await handle.readFile()
    return {
      path,
      ...judgeHeader(content),
      sha256: createHash('sha256').update(content).digest('hex'),
      bytes: content.length,
      writableByOthers: (info.mode & 0o022) !== 0
    }
  } catch {
    return { ...nothing, problem: 'unreadable' }
  } finally {
    await handle.close()
  }
}

function judgeHeader(content: Buffer): { problem: FileProblem | null; architecture: string | null } {
  if (content.length < 20 || content.readUInt32BE(0) !== 0x7f454c46) return { problem: 'not-elf', architecture: null }
  const littleEndian = content[5] === 1
  const half = (offset: number): number => (littleEndian ? content.readUInt16LE(offset) : content.readUInt16BE(offset))
  const machine = half(18)
  const architecture = architectures[machine] ?? `machine ${machine}`
  if (machine !== hostMachines[process.arch]) return { problem: 'wrong-architecture', architecture }
  if (content[4] !== 2 && /64$/.test(process.arch)) return { problem: 'not-64-bit', architecture }
  if (half(16) !== sharedObject) return { problem: 'not-a-library', architecture }
  return { problem: null, architecture }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
