import { readdirSync, readFileSync } from 'node:fs'

/**
 * When a process that is alive was started, in clock ticks since boot: field 22 of /proc/<pid>/stat (proc_pid_stat(5)).
 * A pid alone is not enough to know a process again: numbers are used again. Null when it is gone, or only its zombie; one that was
 * killed is not gone while another of its threads still finishes a call.
 */
export function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command stands in brackets and may hold anything, brackets too: fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const isOver = fields[0] === 'X' || (fields[0] === 'Z' && readdirSync(`/proc/${pid}/task`).length < 2)
    return isOver ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}
