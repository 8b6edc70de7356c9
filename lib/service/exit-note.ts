/**
 * What a service that ends by its own decision leaves beside its configuration. A supervisor that adopted it is not its
 * parent and cannot read its exit code; without this note it would have to start it again to learn why it went.
 */
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../config/private-file.ts'
import { AppError, messageOf } from '../errors/app-error.ts'

const noteSchema = z.strictObject({
  pid: z.int(),
  exitCode: z.int(),
  /** As the log has it; holds no secret. */
  why: z.string(),
  /** The word for programs of an AppError (`reason`), or null. */
  reason: z.string().nullable(),
  at: z.string()
})

export type ExitNote = z.infer<typeof noteSchema>

export function exitNotePath(folder: string): string {
  return join(folder, 'ended.json')
}

/** Never throws: that the program ends counts for more than that it says why. */
export async function leaveExitNote(configFile: string, exitCode: number, thrown: unknown): Promise<void> {
  const reason = thrown instanceof AppError ? (thrown.reason ?? null) : null
  const note: ExitNote = { pid: process.pid, exitCode, why: messageOf(thrown), reason, at: new Date().toISOString() }
  await writePrivateFile(exitNotePath(dirname(configFile)), `${JSON.stringify(note)}\n`).catch(() => {})
}

/** @returns null when none was left, or it cannot be read. @param folder where the configuration is */
export async function readExitNote(folder: string): Promise<ExitNote | null> {
  try {
    const text = await readPrivateFile(exitNotePath(folder))
    return text === null ? null : noteSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}
