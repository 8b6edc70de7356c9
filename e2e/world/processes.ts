/** Who runs for an install: its folder stands in their arguments or their environment (HOME, ChrystokiConfigurationPath). */
import { readdirSync, readFileSync } from 'node:fs'

/** @returns "pid command" of every living process of the install in this folder; zombies have neither and do not count */
export function processesOf(folder: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.flatMap((pid) => {
    const [line, surroundings] = ['cmdline', 'environ'].map((file) => textOf(`/proc/${pid}/${file}`))
    const ours = line?.includes(folder) || surroundings?.includes(folder)
    return ours ? [`${pid} ${line?.replaceAll('\0', ' ').trim()}`] : []
  })
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // It ended meanwhile.
  }
}
