/** `vtl verify`, the Luna client's own look at its partitions, run with a deadline and without a shell. */
import { spawn } from 'node:child_process'
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
const mostText = 256 * 1024
/** From the folder of the library: the Luna client's, and the minimal client's. */
const usualPlaces = ['../bin/vtl', '../../bin/64/vtl', '../bin/64/vtl']

/** Never throws. */
export async function runVtlVerify(client: HsmClient, deadline = deadlineMs): Promise<VtlFacts> {
  const program = await programOf(client)
  if (program === null) return { state: 'absent', partitions: [], words: '' }
  const environment = client.confPath === null ? {} : { ChrystokiConfigurationPath: client.confPath }
  const { text, hung, exitCode } = await run(program, { PATH: '/usr/bin:/bin', ...environment }, deadline)
  const facts = readLunacm(text)
  const partitions = facts?.kind === 'vtl-verify' ? facts.partitions : []
  if (partitions.length > 0) return { state: 'partitions', partitions, words: '' }
  const words = text
    .replace(/[^\P{Cc}\n]/gu, '')
    .trim()
    .slice(-500)
  if (hung) return { state: 'hung', partitions: [], words }
  return { state: exitCode === 0 || facts !== null ? 'none' : 'failed', partitions: [], words }
}

/** In a process group of its own, so that the deadline ends all that it started. */
function run(
  program: string,
  env: Readonly<Record<string, string>>,
  deadline: number
): Promise<{ text: string; hung: boolean; exitCode: number | null }> {
  const child = spawn(program, ['verify'], { cwd: '/', env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve) => {
    let text = ''
    const read = (piece: Buffer): void => {
      if (text.length < mostText) text += piece.toString('utf8')
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    const late = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      resolve({ text, hung: true, exitCode: null })
    }, deadline)
    const end = (exitCode: number | null): void => {
      clearTimeout(late)
      resolve({ text, hung: false, exitCode })
    }
    child.once('error', () => end(null))
    child.once('close', end)
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
