/**
 * What we print and nobody takes. The reader of a pipe has gone (EPIPE, `| head -1`) or the terminal has (EIO): he has seen
 * enough, and the work goes on to its end without a word. Anything else (ENOSPC) loses what somebody waits for: that is told
 * on stderr, and the command does not end with 0.
 */
import { say } from './console.ts'

/** As docs/errors.md has it: what was done stays, run it again. */
const notAllWasPrinted = 6

/** Once, before anything is printed. Without it Node ends the process in the midst of its work, with a stack trace and 1. */
export function outliveItsReaders(): void {
  let lost = false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (lost || isGone(error)) return
    lost = true
    say(`keyscaler: ${lostText(error)}`)
  })
  // There is no other place to tell it.
  process.stderr.on('error', () => {})
  process.on('exit', (code) => {
    if (lost && code === 0) process.exitCode = notAllWasPrinted
  })
}

function isGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE' || (code === 'EIO' && process.stdout.isTTY)
}

function lostText({ message }: Error): string {
  return `What was to be printed on stdout is lost (${message}).`
}

/**
 * Prints what is kept nowhere.
 * @returns false: nobody can have read it, and whoever called has to undo what it tells of
 */
export function printedOnce(text: string): Promise<boolean> {
  return new Promise((resolve) => process.stdout.write(text, (error) => resolve(error === null || error === undefined)))
}
