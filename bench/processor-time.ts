/** Processor time of a program and of what it has started: unlike a rate it hardly moves when the machine is busy. */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ, which Linux fixes at 100 for everything in /proc. */
const ticksASecond = 100

export interface ProcessorTimes {
  /** Seconds, the program itself. */
  readonly own: number
  /** Seconds, its children and theirs, as far as they are still alive. */
  readonly children: number
}

/** Zeros for a process that is gone. */
export function processorTimes(pid: number): ProcessorTimes {
  return { own: ownTime(pid), children: childrenOf(pid).reduce((sum, child) => sum + treeTime(child), 0) }
}

/** Seconds that all cores together were busy since the machine started: user, nice, system, interrupts, stolen (proc(5) stat). */
export function machineTime(): number {
  const [, user, nice, system, , , irq, softirq, steal] = read('/proc/stat').split(/\s+/, 9).map(Number)
  const busy = [user, nice, system, irq, softirq, steal]
  return busy.reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) / ticksASecond
}

function treeTime(pid: number): number {
  const { own, children } = processorTimes(pid)
  return own + children
}

/** Fields 14 and 15 of proc(5) stat, counted after the name, which may hold anything. */
function ownTime(pid: number): number {
  const text = read(`/proc/${pid}/stat`)
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksASecond
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      read(`/proc/${pid}/task/${task}/children`).trim().split(' ').filter(Boolean).map(Number)
    )
  } catch {
    return []
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
