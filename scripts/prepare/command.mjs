import { createHash } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { basename, dirname, extname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  compiledFile,
  compiledFolder,
  findCompiledCommand,
  recordOfCompiled,
  stateOfSource
} from '../../server/compiled-command.mjs'
import { say } from './report.mjs'

/** Native code. */
const leftInModules = ['@node-rs/*', 'pkcs11js']

/** What says how it is made; npm writes the first one whenever it has changed a package. */
const otherSources = [
  'node_modules/.package-lock.json',
  'tsconfig.json',
  'scripts/prepare/command.mjs',
  'server/compiled-command.mjs',
  'server/kept-code.mjs'
]

const loaders = { '.ts': 'ts', '.mjs': 'js', '.json': 'json' }

/**
 * Compiles `keyscaler` (server/command.ts) into one file, unless the one that is there was made of these sources. Never fails:
 * without it the command runs from its sources, which takes longer to start. Two at once are harmless: each renames a finished
 * file into place.
 * @param {string} root the checkout, its packages installed
 */
export async function provideCommand(root) {
  if (findCompiledCommand(root) !== undefined) return
  const folder = compiledFolder(root)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    accessSync(folder, constants.W_OK)
  } catch {
    return // Somebody else's checkout.
  }
  try {
    await compileCommand(root)
    say('Compiled the command (server/command.ts)')
  } catch (error) {
    say(`keyscaler starts from its sources, since they could not be compiled: ${error.message}`)
  }
}

/** @param {string} root */
async function compileCommand(root) {
  const { build, stop } = await import('esbuild')
  /** As they were before they were read. @type {Map<string, ReturnType<typeof stateOfSource>>} */
  const states = new Map(otherSources.map((path) => [path, stateOfSource(join(root, path))]))
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['server/command.ts'],
    bundle: true,
    // One function of what loadCompiledCommand() hands to it.
    format: 'cjs',
    banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
    footer: { js: '})' },
    charset: 'utf8',
    platform: 'node',
    target: 'node24',
    // Node knows no condition "module".
    conditions: [],
    external: leftInModules,
    // Classes and functions say their names in logs and stack traces.
    keepNames: true,
    plugins: [sourcesOf(root, states)],
    write: false,
    logLevel: 'silent'
  }).finally(stop)
  // Read as one byte a character, which is half the memory; esbuild itself leaves regular expressions as they are.
  const text = outputFiles[0].text.replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const sources = [...states].map(([path, state]) => [path, ...(state ?? missing(path))])
  const file = compiledFile({ root, hash })
  write(file, text)
  write(recordOfCompiled(root), JSON.stringify({ root, hash, size: text.length, sources }))
  const folder = compiledFolder(root)
  for (const name of readdirSync(folder))
    if (name.endsWith('.cjs') && name !== basename(file)) rmSync(join(folder, name), { force: true })
}

/**
 * Reads a source; what it was like before that goes into the map. Sources find their neighbours (programs of children, views,
 * migrations) from where they are themselves.
 */
const sourcesOf = (root, states) => ({
  name: 'sources',
  setup({ onLoad }) {
    onLoad({ filter: /./ }, ({ path }) => {
      const source = relative(root, path)
      if (/(^|\/)node_modules\//.test(source)) return undefined
      const loader = loaders[extname(path)]
      if (loader === undefined) throw new Error(`${source} is neither ${Object.keys(loaders).join(' nor ')}`)
      states.set(source, stateOfSource(path))
      const contents = readFileSync(path, 'utf8')
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
      if (/import\.meta\b/.test(contents)) throw new Error(`${source} asks for more of import.meta than is known here`)
      return { contents, loader }
    })
  }
})

function missing(path) {
  throw new Error(`${path} is missing`)
}

/** Whole or not at all, also when the power fails or the disk is full. */
function write(file, contents) {
  const unfinished = `${file}.${process.pid}`
  try {
    const opened = openSync(unfinished, 'w', 0o644)
    try {
      writeFileSync(opened, contents)
      fsyncSync(opened)
    } finally {
      closeSync(opened)
    }
    renameSync(unfinished, file)
  } catch (error) {
    rmSync(unfinished, { force: true })
    throw error
  }
}
