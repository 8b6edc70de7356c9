import { readFileSync } from 'node:fs'

/**
 * When a process that is alive was started, in clock ticks since boot: field 22 of /proc/<pid>/stat (proc_pid_stat(5)).
 * A pid alone is not enough to know a process again: numbers are used again. Null when it is gone, or only its zombie.
 */
export function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command stands in brackets and may hold anything, brackets too: fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}
