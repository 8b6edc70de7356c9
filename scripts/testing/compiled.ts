/** One folder of compiled code for every process of a run: without it each of them strips the types of the same files again. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { compiledCode } from '../../lib/keystore/compiled-code.ts'

const root = resolve(import.meta.dirname, '../..')

/** The product's own folder, for the test files and what they start. It is filled for `keyscaler`, since one that is killed keeps nothing. */
export async function shareCompiledCode(): Promise<void> {
  Object.assign(process.env, compiledCode())
  await promisify(execFile)(process.execPath, [join(root, 'server/cli.ts'), 'apply', '/dev/null', '--dry-run']).catch(
    () => {} // It refuses an empty file, having loaded all that it would apply it with.
  )
}
