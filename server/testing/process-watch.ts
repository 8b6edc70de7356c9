/** Notes what others on this machine can see of processes while a test runs: every command line and environment. */
import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessWatch {
  /** Ends it. @returns "pid command line" and the text of both, once for each program that ran */
  readonly stop: () => ReadonlyMap<string, string>
}

/** A probe of a PKCS#11 library lives for a tenth of a second and more. */
const everyMs = 25

export function watchProcesses(): ProcessWatch {
  const seen = new Map<string, string>()
  const look = () => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
      const line = textOf(`/proc/${pid}/cmdline`)
      const name = `${pid} ${line.replaceAll('\0', ' ').trim()}`
      if (line !== '' && !seen.has(name)) seen.set(name, `${line}\0${textOf(`/proc/${pid}/environ`)}`)
    }
  }
  const timer = setInterval(look, everyMs)
  return {
    stop: () => {
      clearInterval(timer)
      return seen
    }
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // It ended meanwhile, or is another user's.
  }
}
