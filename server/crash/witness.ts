/**
 * Is anything missed by what is preloaded (kill-switch.c)? One more install, with strace looking at every system call: those
 * that change the state folder must have been counted, one by one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openInstallWorld } from '../testing/world.ts'
import { armed, callsIn } from './kill-switch.ts'

/** Names as the kernel has them. */
const counted = {
  create: /^open(?:at)?\(.*O_(?:CREAT|TRUNC)/,
  fsync: /^f(?:data)?sync\(/,
  rename: /^rename(?:at2?)?\(/,
  unlink: /^unlink(?:at)?\((?!.*AT_REMOVEDIR)/,
  link: /^link(?:at)?\(/
} as const

const traced =
  'trace=open,openat,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat,truncate,ftruncate'

/** @returns a line for each kind of call whose numbers differ; none: nothing is missed */
export async function missedBy(): Promise<readonly string[]> {
  let environment: Record<string, string> = {}
  const world = await openInstallWorld({ environment: () => environment })
  const [trace, log] = [join(world.dir, 'trace'), join(world.dir, 'calls.log')]
  environment = armed(world.stateDir, 0, log)
  try {
    // -y names the file of a descriptor; -b lets go of what is started, which is not the process that is killed.
    const under = ['strace', '-f', '-y', '-b', 'execve', '-s', '512', '-e', traced, '-o', trace]
    const { code, stderr } = await world.applyUnder(under, world.answersFile(), '--exit').ended
    if (code !== 0) return [`strace: the install ended with ${code}: ${stderr}`]
    const seen = callsIn(log)
    const lines = callsOf(readFileSync(trace, 'utf8')).filter(
      (line) =>
        (line.includes(`${world.stateDir}/`) || line.includes(`${world.stateDir}>`)) &&
        // Counted on their own (kill-switch.c).
        !line.includes(`${world.stateDir}/jobs`)
    )
    return Object.entries(counted).flatMap(([call, pattern]) => {
      const [kernel, ours] = [lines.filter((line) => pattern.test(line)), seen.filter((row) => row.call === call)]
      console.log(`${call}: strace saw ${kernel.length}, counted ${ours.length}`)
      return kernel.length === ours.length ? [] : [`${call}: strace saw ${kernel.length}, counted ${ours.length}`]
    })
  } finally {
    await world.close()
  }
}

/** Calls as they were begun: "12 openat(…) = 3" or "12 openat(… <unfinished ...>"; what is resumed is the same call. */
function callsOf(trace: string): string[] {
  const lines = trace.split('\n').map((line) => line.replace(/^\d+\s+/, ''))
  return lines.filter((line) => /^[a-z0-9]+\(/.test(line))
}
