/**
 * A program that is started ahead of its time: it has loaded its code, which is most of a start, and waits for the word on its
 * standard input. Nothing was read, opened or listened on until then; when whoever started it is gone, it goes too.
 */
import { readSync } from 'node:fs'
import { flushCompileCache } from 'node:module'

export const standbyFlag = '--standby'

/** Blocks: there is nothing else to do yet, but to keep what was compiled for those that come after it. */
export function awaitWord(): void {
  flushCompileCache()
  if (readSync(0, Buffer.alloc(1)) === 0) process.exit(0)
}
