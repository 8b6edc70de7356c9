// Compiles the stand-in partition with the machine's compiler. Plain JavaScript: the bootstrap runs it on Node >= 20.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const flags = ['-O2', '-fPIC', '-shared', '-pthread', '-fvisibility=hidden', '-Wall', '-Wextra', '-Werror']

/**
 * Makes .cache/luna/libCryptoki2_64.so when it is missing or older than a source; under a millisecond when it is not.
 * Two builds at once are harmless: each renames a finished file into place.
 * @param {string} root the repository's folder
 * @returns {string} the library's absolute path
 */
export function buildLuna(root) {
  const folder = join(root, 'sandbox', 'luna')
  const library = join(root, '.cache', 'luna', 'libCryptoki2_64.so')
  const sources = readdirSync(folder).filter((name) => /\.[ch]$/.test(name))
  const made = statSync(library, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (made > 0 && [...sources, 'build.mjs'].every((name) => statSync(join(folder, name)).mtimeMs <= made))
    return library

  mkdirSync(join(root, '.cache', 'luna'), { recursive: true })
  const unfinished = `${library}.${process.pid}`
  const files = sources.filter((name) => name.endsWith('.c')).map((name) => join(folder, name))
  const cc = spawnSync('cc', [...flags, '-o', unfinished, ...files, '-ldl'], { encoding: 'utf8' })
  if (cc.status !== 0) {
    rmSync(unfinished, { force: true })
    throw new Error(`sandbox/luna did not compile: ${cc.error?.message ?? cc.stderr}`)
  }
  renameSync(unfinished, library)
  return library
}
