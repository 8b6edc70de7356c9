/** JSON lines on stdout; secrets are cut out by name wherever they might appear. */
import { type Logger, pino } from 'pino'

const secretNames = ['password', 'pin', 'secret', 'authorization', 'cookie', 'token', 'plaintext', 'privateKey', 'key']

export function openLog(name: string, level: string): Logger {
  return pino({
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: secretNames.flatMap((secret) => [secret, `*.${secret}`, `*.*.${secret}`]),
      censor: '[redacted]'
    }
  })
}
export type { Logger }
