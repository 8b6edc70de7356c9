import { readdirSync, readFileSync } from 'node:fs'

/**
 * When a process that is alive was started, in clock ticks since boot: field 22 of /proc/<pid>/stat (proc_pid_stat(5)).
 * A pid alone is not enough to know a process again: numbers are used again. Null when it is gone, or only its zombie; one that was
 * killed is not gone while another of its threads still finishes a call.
 */
export function startTimeOf(pid: number): string | null {
  try {
    const [state, startTime] = statOf(pid, [3, 22])
    const isOver = state === 'X' || (state === 'Z' && readdirSync(`/proc/${pid}/task`).length < 2)
    return isOver ? null : (startTime ?? null)
  } catch {
    return null
  }
}

/** Who started a process, or took it over when that one ended: field 4 of the same file. Null when it is gone. */
export function parentOf(pid: number): number | null {
  try {
    return Number(statOf(pid, [4])[0])
  } catch {
    return null
  }
}

/** @param wanted numbers of fields as in proc_pid_stat(5), from 3 on @throws Error when there is no such process */
function statOf(pid: number, wanted: readonly number[]): (string | undefined)[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command stands in brackets and may hold anything, brackets too: fields are counted after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return wanted.map((field) => fields[field - 3])
}
