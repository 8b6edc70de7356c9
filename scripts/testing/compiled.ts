/** One folder of compiled code for every process of a run: without it each of them strips the types of the same files again. */
import { compiledCode } from '../../lib/keystore/compiled-code.mjs'

/** The product's own folder, for the test files and what they start. */
export function shareCompiledCode(): void {
  Object.assign(process.env, compiledCode())
}
