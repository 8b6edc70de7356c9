/** Programs of the benchmarks that are written in C: compiled when a source is newer, which takes under a second. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread']

/**
 * Two builds at once are harmless: each renames a finished file into place.
 * @param name of its source in this folder, without .c
 * @param headers of ours that it includes, from the root
 * @param libraries as the linker names them
 * @returns the program's path. @throws Error with what the compiler said
 */
export function cProgram(name: string, headers: readonly string[], libraries: readonly string[]): string {
  const folder = join(root, '.cache', 'bench')
  const program = join(folder, name)
  const source = join(import.meta.dirname, `${name}.c`)
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = [source, ...headers.map((header) => join(root, header))]
  if (sources.every((file) => statSync(file).mtimeMs <= made)) return program
  mkdirSync(folder, { recursive: true })
  const draft = `${program}.${process.pid}`
  const linked = libraries.map((library) => `-l${library}`)
  const cc = spawnSync('cc', [...flags, '-o', draft, source, ...linked], { encoding: 'utf8' })
  if (cc.status !== 0) {
    rmSync(draft, { force: true })
    throw new Error(`bench/${name}.c did not compile: ${cc.error?.message ?? cc.stderr}`)
  }
  renameSync(draft, program)
  return program
}
