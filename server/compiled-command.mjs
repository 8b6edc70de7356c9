// @ts-check
/**
 * `keyscaler` compiled: command.ts and all that it imports in one file, made by scripts/prepare/command.mjs, and beside the
 * code of the children what V8 had compiled of it when a command last ended well. Both are there to start sooner and for
 * nothing else, and may be removed at any time (docs/decisions/0031).
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { getHeapCodeStatistics } from 'node:v8'
import { constants, Script } from 'node:vm'
import { crc32 } from 'node:zlib'

/** @typedef {readonly [size: number, changed: number]} State bytes, and milliseconds since 1970 */

/**
 * @typedef {object} CompiledCommand
 * @property {string} root the checkout that it was made of: where it is, is in it
 * @property {string} file absolute path of the one file, which is named by its contents
 * @property {string} hash of its contents
 * @property {readonly (readonly [path: string, ...State])[]} sources what it was made of, from the root
 */

/** @typedef {{ readonly runCommand: () => Promise<void> }} Command */

/** @param {string} root */
export const compiledFolder = (root) => join(root, '.cache', 'command')

/** @param {string} root */
export const recordOfCompiled = (root) => join(compiledFolder(root), 'made.json')

/**
 * @param {string} path
 * @returns {State | undefined} undefined: there is none
 */
export function stateOfSource(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && [found.size, found.mtimeMs]
}

/**
 * The compiled command, when every file that it was made of is as it was then: a look at 400 files, which takes 3 ms.
 * @param {string} root
 * @returns {CompiledCommand | undefined}
 */
export function findCompiledCommand(root) {
  try {
    /** @type {CompiledCommand} */
    const made = JSON.parse(readFileSync(recordOfCompiled(root), 'utf8'))
    const isCurrent = made.sources.every(([path, size, changed]) => {
      const now = stateOfSource(join(root, path))
      return now?.[0] === size && now[1] === changed
    })
    return made.root === root && isCurrent && stateOfSource(made.file) ? made : undefined
  } catch {
    return undefined
  }
}

/**
 * @param {CompiledCommand} compiled
 * @param {string | undefined} folder where V8's code is kept, which nobody else may write to; undefined: nowhere
 * @returns {Command}
 */
export function loadCompiledCommand({ root, file, hash }, folder) {
  const command = process.argv[2] ?? ''
  // One for each command, as long as what it uses, and for each set of flags, since V8 takes no code of another one.
  const name = `keyscaler-${command}-${crc32(JSON.stringify([root, process.execArgv])).toString(16)}`
  const kept = folder && /^[a-z][a-z-]*$/.test(command) ? join(folder, `${name}-${hash}`) : undefined
  const code = kept === undefined ? undefined : readCode(kept)
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: file,
    ...(code && { cachedData: code.data }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
  const known = code && script.cachedDataRejected === false ? code.bytecode : 0
  if (kept) process.once('exit', (status) => void (status === 0 && keepCode(script, kept, known)))

  /** @type {{ exports: Command }} */
  const module = { exports: { runCommand: async () => {} } }
  script.runInThisContext()(module.exports, createRequire(file), module, file, compiledFolder(root))
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
  const { bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics()
  if (bytecode <= known * 1.02) return
  const data = script.createCachedData()
  const head = Buffer.alloc(headLength)
  head.writeUInt32LE(crc32(data), 0)
  head.writeUInt32LE(bytecode, 4)
  const unfinished = `${kept}.${process.pid}`
  try {
    writeFileSync(unfinished, Buffer.concat([head, data]), { mode: 0o600 })
    renameSync(unfinished, kept)
    forgetOlder(kept)
  } catch {
    rmSync(unfinished, { force: true })
  }
}

/**
 * Removes what was kept of this command when its sources were others.
 * @param {string} kept
 */
function forgetOlder(kept) {
  const [folder, name] = [dirname(kept), basename(kept)]
  const anyHash = name.slice(0, name.lastIndexOf('-') + 1)
  for (const other of readdirSync(folder))
    if (other.startsWith(anyHash) && !other.startsWith(name)) rmSync(join(folder, other), { force: true })
}
