/** How the command ends and speaks: messages on stderr, exit codes as reference/ux.md has them. */
import { AppError, type ErrorCode, messageOf } from '../../lib/errors/app-error.ts'

/** 2 usage · 3 invalid answers · 4 check failed · 6 failed and not rolled back · 7 another run holds the state. */
const exitCodeOf: Partial<Record<ErrorCode, number>> = {
  'invalid-input': 3,
  'check-failed': 4,
  'pin-rejected': 4,
  'deploy-failed': 6,
  conflict: 7,
  locked: 7
}

export function say(line: string): void {
  process.stderr.write(`${printable(line)}\n`)
}

/** Control characters of a label or a peer's message would move the cursor or recolour the terminal: they are left out. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '')
}

/** Runs a command's work; an error becomes a plain message, its cure, and the exit code. */
export async function ending(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (thrown) {
    say(`keyscaler: ${messageOf(thrown)}`)
    if (thrown instanceof AppError && thrown.cure !== undefined) say(`           ${thrown.cure}`)
    process.exit(exitCodeFor(thrown))
  }
}

function exitCodeFor(thrown: unknown): number {
  if (!(thrown instanceof AppError)) return 6
  return thrown.reason === usage ? 2 : (exitCodeOf[thrown.code] ?? 6)
}

const usage = 'usage'

/** For what is wrong with the command line itself, an answers file apart: it ends with 2, as commander's own do. */
export function usageError(detail: string, more: { readonly cure?: string; readonly cause?: unknown } = {}): AppError {
  return new AppError('invalid-input', detail, { ...more, reason: usage })
}

/** Node prints its warnings into the middle of what is drawn. */
export function sayWarnings(tell: (line: string) => void): void {
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    tell(`${name}: ${message}`)
  })
}

/** Resolves with the signal that asks us to end. */
export function askedToEnd(
  signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, resolve)
  })
}

/** The answers file may be named as argument or with -f. @throws AppError invalid-input */
export function answersArgument(argument: string | undefined, flag: string | undefined): string {
  const path = argument ?? flag
  if (path !== undefined && (argument === undefined || flag === undefined)) return path
  throw usageError(path === undefined ? 'No answers file was named.' : 'Name one answers file.', {
    cure: 'keyscaler config defaults > answers.yaml prints one to begin with.'
  })
}

/** @throws AppError invalid-input naming the option; 0 is any free port */
export function portFrom(typed: string, option = '--port'): number {
  const port = /^\d{1,5}$/.test(typed) ? Number(typed) : Number.NaN
  if (!(port <= 65535)) throw usageError(`${option} must be 0–65535, not ${typed}.`)
  return port
}
