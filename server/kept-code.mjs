// @ts-check
/**
 * Loads the compiled command with the code that V8 had of it when a command last ended well, which is kept in the folder of
 * the children's compiled code. Both may be removed at any time.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { getHeapCodeStatistics } from 'node:v8'
import { constants, Script } from 'node:vm'
import { crc32 } from 'node:zlib'
import { compiledCode } from '../lib/keystore/compiled-code.mjs'
import { compiledFile, compiledFolder } from './compiled-command.mjs'

/** @typedef {{ readonly runCommand: () => Promise<void> }} Command */

/**
 * @param {import('./compiled-command.mjs').CompiledCommand} compiled
 * @returns {Command | undefined} undefined: it cannot be read or is damaged, and the sources are to be run
 */
export function loadCompiledCommand(compiled) {
  try {
    return load(compiled)
  } catch {
    return undefined
  }
}

/** @param {import('./compiled-command.mjs').CompiledCommand} compiled */
function load(compiled) {
  const { root, hash } = compiled
  const file = compiledFile(compiled)
  const command = process.argv[2] ?? ''
  const { NODE_COMPILE_CACHE: folder } = compiledCode()
  // Each command keeps the code of what it uses itself; V8 takes no code of other flags or of another version.
  const start = crc32(JSON.stringify([root, process.execArgv, process.version])).toString(16)
  const isOne = folder !== undefined && /^[a-z][a-z-]*$/.test(command)
  const kept = isOne ? join(folder, `keyscaler-${command}-${start}-${hash}`) : undefined
  const code = kept === undefined ? undefined : readCode(kept)
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: file,
    ...(code && { cachedData: code.data }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
  const known = code && script.cachedDataRejected === false ? code.bytecode : 0

  /** @type {{ exports: Command | undefined }} */
  const module = { exports: undefined }
  script.runInThisContext()({}, createRequire(file), module, file, compiledFolder(root))
  if (kept && module.exports) process.once('exit', (status) => void (status === 0 && keepCode(script, kept, known)))
  return module.exports
}

/** Before the code stand its CRC-32, since V8 believes whatever has the right length, and how many bytes of bytecode there were. */
const headLength = 8

/**
 * @param {string} kept
 * @returns {{ readonly data: Buffer, readonly bytecode: number } | undefined} undefined: none, or not whole
 */
function readCode(kept) {
  try {
    const whole = readFileSync(kept)
    const data = whole.subarray(headLength)
    return crc32(data) === whole.readUInt32LE(0) ? { data, bytecode: whole.readUInt32LE(4) } : undefined
  } catch {
    return undefined
  }
}

/**
 * Written when there is a fiftieth more than at the end of the run that wrote it last.
 * @param {Script} script
 * @param {string} kept
 * @param {number} known bytes of bytecode at the end of that run
 */
function keepCode(script, kept, known) {
  const unfinished = `${kept}.${process.pid}`
  try {
    const { bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics()
    // The folder may have been cleaned away since the start, and be somebody else's now.
    if (bytecode <= known * 1.02 || compiledCode().NODE_COMPILE_CACHE !== dirname(kept)) return
    const data = script.createCachedData()
    const head = Buffer.alloc(headLength)
    head.writeUInt32LE(crc32(data), 0)
    head.writeUInt32LE(bytecode, 4)
    rmSync(unfinished, { force: true })
    writeFileSync(unfinished, Buffer.concat([head, data]), { mode: 0o600, flag: 'wx' })
    renameSync(unfinished, kept)
    forgetOlder(kept)
  } catch {
    forget(unfinished)
  }
}

/**
 * The next run begins without it, and this one ends as it was going to, whatever the disk says.
 * @param {string} unfinished
 */
function forget(unfinished) {
  try {
    rmSync(unfinished, { force: true })
  } catch {
    // forgetOlder() takes it when the sources are others.
  }
}

const forgottenAfterDays = 30

/**
 * Removes what was kept of this command when its sources were others, and what nobody has written for a month.
 * @param {string} kept
 */
function forgetOlder(kept) {
  const [folder, name] = [dirname(kept), basename(kept)]
  const anyHash = name.slice(0, name.lastIndexOf('-') + 1)
  const longAgo = Date.now() - forgottenAfterDays * 86_400_000
  for (const other of readdirSync(folder)) {
    if (!other.startsWith('keyscaler-') || other.startsWith(name)) continue
    const path = join(folder, other)
    if (other.startsWith(anyHash) || statSync(path).mtimeMs < longAgo) rmSync(path, { force: true })
  }
}
