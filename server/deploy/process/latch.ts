/**
 * A service that is sealed: its PIN was rejected, or is not sent again before a person has looked. It stays down over
 * restarts of the wizard, for as long as it would be started with the same configuration and credentials.
 */
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../../../lib/config/private-file.ts'
import { readExitNote } from '../../../lib/service/exit-note.ts'
import type { RunFolder } from './run-folder.ts'

const latchSchema = z.strictObject({
  /** In plain words, beginning with "sealed". */
  detail: z.string(),
  /** Digest of configuration and credentials (run-folder.ts) that were rejected; null: whatever they are. */
  configHash: z.string().nullable(),
  at: z.string()
})

export type Latch = z.infer<typeof latchSchema>

const rejected = 'sealed: PIN rejected'

/** Where nothing was rejected, the word must not say so. By the reason that the service left in its note. */
const words: Readonly<Record<string, string>> = {
  locked: 'sealed: Crypto Officer locked',
  'final-try': 'sealed: one try left before the partition locks',
  'interrupted-before': 'sealed: earlier logins were never answered'
}

/** Keeps why this process of the service ended sealed. */
export async function sealLatch(run: RunFolder, pid: number, configHash: string): Promise<Latch> {
  const note = await readExitNote(run.folder)
  const reason = note?.pid === pid ? note.reason : null
  const latch = { detail: words[reason ?? ''] ?? rejected, configHash, at: new Date().toISOString() }
  await writePrivateFile(run.latched, `${JSON.stringify(latch)}\n`)
  return latch
}

/** null: not sealed. A latch that cannot be read holds. */
export async function readLatch(run: RunFolder): Promise<Latch | null> {
  const text = await readPrivateFile(run.latched)
  if (text === null) return null
  const parsed = latchSchema.safeParse(jsonOf(text))
  return parsed.success ? parsed.data : { detail: rejected, configHash: null, at: '' }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
