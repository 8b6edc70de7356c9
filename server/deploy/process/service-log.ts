/** service.log: the service writes it itself, so that it outlives the wizard; we cap its size and read its end. */
import { copyFile, open, stat, truncate } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

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

const lookEveryMs = 200

/**
 * Tells each line that is written after `from`, for people, until the signal; then what is there at that moment. Of a
 * burst, its end. A line that is being written is told when it is whole.
 */
export async function followLog(
  file: string,
  from: number,
  tell: (line: string) => void,
  over: AbortSignal
): Promise<void> {
  let at = from
  for (;;) {
    const last = over.aborted
    at = await tellNew(file, at, tell)
    if (last) return
    await delay(lookEveryMs, undefined, { signal: over }).catch(() => {})
  }
}

/** @returns where the next line begins */
async function tellNew(file: string, from: number, tell: (line: string) => void): Promise<number> {
  const handle = await open(file, 'r').catch(() => null)
  if (handle === null) return from
  try {
    const { size } = await handle.stat()
    const start = Math.max(size < from ? 0 : from, size - tailBytes)
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start })
    const end = buffer.subarray(0, bytesRead).lastIndexOf('\n') + 1
    const lines = buffer.toString('utf8', 0, end).split('\n')
    for (const line of lines) if (line.trim() !== '') tell(readable(line))
    return start + end
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
