import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compiledFolder, findCompiledCommand, recordOfCompiled, stateOfSource } from '../../server/compiled-command.mjs'
import { say } from './report.mjs'

/** What brings a program of its own with it, or is wanted from its own folder. */
const leftInModules = ['@node-rs/*', 'pkcs11js']

/**
 * Compiles `keyscaler` (server/command.ts) into one file, when there is none of these sources. Never fails: without it the
 * command runs from its sources, which takes longer to start. Two at once are harmless: each renames a finished file into place.
 * @param {string} root the checkout, its packages installed
 */
export async function provideCommand(root) {
  if (findCompiledCommand(root) !== undefined) return
  try {
    await compileCommand(root)
    say('Compiled the command (server/command.ts)')
  } catch (error) {
    say(`keyscaler starts from its sources, since they could not be compiled: ${error.message}`)
  }
}

/** @param {string} root */
async function compileCommand(root) {
  const { build } = await import('esbuild')
  /** @type {Map<string, readonly [size: number, changed: number]>} */
  const states = new Map()
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['server/command.ts'],
    bundle: true,
    // One function of what loadCompiledCommand() hands to it, read as one byte a character.
    format: 'cjs',
    banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
    footer: { js: '})' },
    charset: 'ascii',
    platform: 'node',
    target: 'node24',
    // As Node itself resolves, which knows no condition "module".
    conditions: [],
    external: leftInModules,
    // Classes and functions say their names in logs and stack traces.
    keepNames: true,
    plugins: [sourcesOf(states)],
    write: false,
    logLevel: 'silent'
  })
  const [{ contents }] = outputFiles
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 16)
  const folder = compiledFolder(root)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `keyscaler-${hash}.cjs`)
  // npm writes this one whenever it has changed a package.
  for (const path of ['node_modules/.package-lock.json', 'scripts/prepare/command.mjs'].map((path) => join(root, path)))
    states.set(path, stateOfSource(path))
  const sources = [...states].map(([path, state]) => [relative(root, path), ...state])
  write(file, contents)
  write(recordOfCompiled(root), JSON.stringify({ root, file, hash, sources }))
  for (const name of readdirSync(folder))
    if (name.endsWith('.cjs') && name !== basename(file)) rmSync(join(folder, name), { force: true })
}

/**
 * Reads a source; what it was like before that goes into the map. Sources find their neighbours (programs of children, views,
 * migrations) from where they are themselves.
 */
const sourcesOf = (states) => ({
  name: 'sources',
  setup({ onLoad }) {
    onLoad({ filter: /\.(ts|mjs|json)$/ }, ({ path }) => {
      if (path.includes('/node_modules/')) return undefined
      states.set(path, stateOfSource(path))
      const contents = readFileSync(path, 'utf8')
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
      if (/import\.meta\b/.test(contents)) throw new Error(`${path} asks for more of import.meta than is known here`)
      return { contents, loader: path.endsWith('.ts') ? 'ts' : path.endsWith('.mjs') ? 'js' : 'json' }
    })
  }
})

/** Whole or not at all, also when the power fails. */
function write(file, contents) {
  const unfinished = `${file}.${process.pid}`
  const opened = openSync(unfinished, 'w')
  writeSync(opened, contents)
  fsyncSync(opened)
  closeSync(opened)
  renameSync(unfinished, file)
}
