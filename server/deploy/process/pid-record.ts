/**
 * Who is running: a pid alone is not enough (numbers are used again), so the start time of the process goes with it, in
 * clock ticks since boot: field 22 of /proc/<pid>/stat, see proc_pid_stat(5).
 */
import { readdir, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../../../lib/config/private-file.ts'
import { parentOf, startTimeOf } from '../../../lib/process/start-time.ts'

const recordSchema = z.strictObject({
  pid: z.int().min(1),
  startTime: z.string(),
  /** Digest of the configuration that it was started with (run-folder.ts). */
  configHash: z.string(),
  startedAt: z.string()
})

export type PidRecord = z.infer<typeof recordSchema>

export function isAlive({ pid, startTime }: PidRecord): boolean {
  return startTimeOf(pid) === startTime
}

export async function writePidRecord(file: string, record: PidRecord): Promise<void> {
  await writePrivateFile(file, `${JSON.stringify(record)}\n`)
}

/** Who was started last, alive or not; a torn or foreign record counts as none. */
export async function readRecord(file: string): Promise<PidRecord | null> {
  const text = await readPrivateFile(file)
  if (text === null) return null
  const parsed = recordSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data : null
}

/** The recorded process if it still lives. */
export async function readLivingRecord(file: string): Promise<PidRecord | null> {
  const record = await readRecord(file)
  return record !== null && isAlive(record) ? record : null
}

/**
 * Processes of ours that were started with this configuration file, recorded or not: a wizard that is killed between
 * starting a service and writing its record must leave no orphan. A child of one of them that has its parent's arguments is
 * none: it is about to become another program (a key-store agent between fork and execve), and ends with its parent.
 */
export async function pidsServing(configFile: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const serving = await Promise.all(
    pids.map(async (pid) => {
      const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
      const at = argv.indexOf('--config')
      const serves = at > 0 && argv[at + 1] === configFile && !argv.includes('--check-config')
      return serves && startTimeOf(pid) !== null
    })
  )
  const found = pids.filter((_, index) => serving[index])
  return found.filter((pid) => pid !== process.pid && !found.includes(parentOf(pid) ?? 0))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
