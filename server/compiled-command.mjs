// @ts-check
/**
 * `keyscaler` compiled: command.ts and all that it imports in one file, which scripts/prepare/command.mjs makes. It is there
 * to start sooner and for nothing else, and may be removed at any time (docs/decisions/0031). Imports nothing that Node 20
 * does not have: the bootstrap looks here, too.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {readonly [size: number, modified: number, changed: number]} State bytes, and milliseconds since 1970 */

/**
 * @typedef {object} CompiledCommand
 * @property {string} root absolute; the file has this path built in
 * @property {string} hash of the file's contents, which names it
 * @property {number} size of the file, bytes
 * @property {readonly (readonly [path: string, ...State])[]} sources what it was made of, from the root
 */

/** @param {string} root */
export const compiledFolder = (root) => join(root, '.cache', 'command')

/** @param {string} root */
export const recordOfCompiled = (root) => join(compiledFolder(root), 'made.json')

/** @param {Pick<CompiledCommand, 'root' | 'hash'>} compiled */
export const compiledFile = ({ root, hash }) => join(compiledFolder(root), `keyscaler-${hash}.cjs`)

/**
 * @param {string} path
 * @returns {State | undefined} undefined: there is none
 */
export function stateOfSource(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && [found.size, found.mtimeMs, found.ctimeMs]
}

/**
 * The compiled command, when every file that it was made of is as it was then (a look at 400 files, which takes 3 ms), and
 * only the owner of the sources, or who runs it now, can have written it.
 * @param {string} root
 * @returns {CompiledCommand | undefined}
 */
export function findCompiledCommand(root) {
  try {
    if (!isTrusted(root)) return undefined
    /** @type {CompiledCommand} */
    const made = JSON.parse(readFileSync(recordOfCompiled(root), 'utf8'))
    const isCurrent = made.sources.every(([path, ...state]) => {
      const now = stateOfSource(join(root, path))
      return now !== undefined && state.every((figure, index) => figure === now[index])
    })
    return made.root === root && isCurrent && statSync(compiledFile(made)).size === made.size ? made : undefined
  } catch {
    return undefined
  }
}

/**
 * The folder is the sources' owner's or ours, and nobody else's to write to.
 * @param {string} root
 */
function isTrusted(root) {
  const { uid, mode } = statSync(compiledFolder(root))
  const owners = [statSync(join(root, 'server')).uid, process.getuid?.()]
  return owners.includes(uid) && (mode & 0o022) === 0
}
