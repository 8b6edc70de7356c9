/** JSON lines, on stdout where nothing else is said; secrets are cut out by name wherever they might appear. */
import { createRequire } from 'node:module'
import type { Logger, LoggerOptions } from 'pino'
import { messageOf } from '../errors/app-error.ts'

const require = createRequire(import.meta.url)

/** Loaded with the first log that is opened, or before: a command that has nothing to log does without its 40 files. */
export function pino(): typeof import('pino') {
  return require('pino')
}

const secretNames = ['password', 'pin', 'secret', 'authorization', 'cookie', 'token', 'plaintext', 'privateKey', 'key']

/** @param write takes each line in place of stdout */
export function openLog(name: string, level: string, write?: (line: string) => void): Logger {
  const { pino: open, stdTimeFunctions } = pino()
  const options: LoggerOptions = {
    name,
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: named },
    redact: {
      paths: secretNames.flatMap((secret) => [secret, `*.${secret}`, `*.*.${secret}`]),
      censor: '[redacted]'
    }
  }
  return open(options, write === undefined ? toStdout() : { write: (text: string) => write(text.trimEnd()) })
}

/** What waits for room on a full disk; what comes after it is dropped. */
const mostKept = 1 << 20

/** Without a listener of its own, sonic-boom tries a line that a full disk refuses (ENOSPC) over and over, and nothing else runs. */
function toStdout() {
  return pino()
    .destination({ dest: 1, sync: true, maxLength: mostKept })
    .on('error', () => {})
}

/**
 * What names an error, and no more: mysql2 hangs the whole statement on its errors, values and all (`sql`), and other
 * drivers their settings.
 */
function named(thrown: unknown): object {
  if (!(thrown instanceof Error)) return { message: messageOf(thrown) }
  const { type, message, stack, code } = pino().stdSerializers.err(thrown)
  const several = thrown instanceof AggregateError ? { errors: thrown.errors.map(named) } : {}
  return { type, message, stack, code, ...several }
}

export type { Logger }
