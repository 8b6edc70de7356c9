/** `vtl verify`, the Luna client's own look at its partitions, run with a deadline and without a shell. */
import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { HsmClient } from './client-discovery.ts'
import { type LunacmPartition, readLunacm } from './read-lunacm.ts'

export interface VtlFacts {
  /** `absent`: this client has no vtl (those of DPoD have none). */
  readonly state: 'absent' | 'partitions' | 'none' | 'failed' | 'hung'
  readonly partitions: readonly LunacmPartition[]
  /** The end of what it printed, where it found no partition. */
  readonly words: string
}

/** The client's own receive timeout is 20 s an appliance. */
const deadlineMs = 30_000
/** From the folder of the library: the Luna client's, and the minimal client's. */
const usualPlaces = ['../bin/vtl', '../../bin/64/vtl', '../bin/64/vtl']

/** Never throws. */
export async function runVtlVerify(client: HsmClient, deadline = deadlineMs): Promise<VtlFacts> {
  const program = await programOf(client)
  if (program === null) return { state: 'absent', partitions: [], words: '' }
  const environment = client.confPath === null ? {} : { ChrystokiConfigurationPath: client.confPath }
  return await new Promise((resolve) => {
    const options = {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', ...environment },
      timeout: deadline,
      killSignal: 'SIGKILL',
      maxBuffer: 256 * 1024
    } as const
    const child = execFile(program, ['verify'], options, (error, stdout, stderr) => {
      const said = `${stdout}\n${stderr}`.replace(/[^\P{Cc}\n]/gu, '').trim()
      const facts = readLunacm(stdout)
      const partitions = facts?.kind === 'vtl-verify' ? facts.partitions : []
      const words = said.slice(-500)
      if (partitions.length > 0) return resolve({ state: 'partitions', partitions, words: '' })
      if (error?.killed === true) return resolve({ state: 'hung', partitions: [], words })
      resolve({ state: error === null || facts !== null ? 'none' : 'failed', partitions: [], words })
    })
    child.stdin?.end()
  })
}

async function programOf({ module }: HsmClient): Promise<string | null> {
  for (const place of usualPlaces) {
    const path = join(dirname(module), place)
    const info = await stat(path).catch(() => null)
    if (info?.isFile() === true && (info.mode & 0o111) !== 0) return path
  }
  return null
}
