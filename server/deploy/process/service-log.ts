/** service.log: the service writes it itself, so that it outlives the wizard; we cap its size and read its end. */
import { copyFile, open, stat, truncate } from 'node:fs/promises'

const capBytes = 10_000_000
const tailBytes = 64_000

/**
 * Keeps one older file. The service holds its file open for appending, so it is copied and cut rather than renamed; a
 * line written between the two is lost, which is the price of a log that needs no living wizard.
 */
export async function rotateLog(file: string, cap = capBytes): Promise<void> {
  const size = await sizeOf(file)
  if (size <= cap) return
  await copyFile(file, `${file}.1`)
  await truncate(file, 0)
}

export async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => null))?.size ?? 0
}

/** The last lines that were written after `from` (bytes), shortened for people. Services redact what they log. */
export async function logTail(file: string, from: number, lines = 20): Promise<readonly string[]> {
  const handle = await open(file, 'r').catch(() => null)
  if (handle === null) return []
  try {
    const { size } = await handle.stat()
    const start = Math.max(size < from ? 0 : from, size - tailBytes)
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start })
    const written = buffer.toString('utf8', 0, bytesRead).split('\n')
    return written
      .filter((line) => line.trim() !== '')
      .slice(-lines)
      .map(readable)
  } finally {
    await handle.close()
  }
}

/** A pino line as "error: what happened: because of"; anything else as it stands, cut to one line's length. */
function readable(line: string): string {
  const entry = parseEntry(line)
  const words = [entry?.msg, entry?.err?.message].filter((word) => typeof word === 'string' && word !== '')
  const text = words.length === 0 ? line : `${entry?.level ?? 'log'}: ${[...new Set(words)].join(': ')}`
  return text.length > 400 ? `${text.slice(0, 400)}…` : text
}

interface LogEntry {
  readonly level?: unknown
  readonly msg?: unknown
  readonly err?: { readonly message?: unknown }
}

function parseEntry(line: string): LogEntry | null {
  try {
    const entry: unknown = JSON.parse(line)
    return typeof entry === 'object' ? entry : null
  } catch {
    return null
  }
}
