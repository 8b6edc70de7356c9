/** Puts load on one of our servers from a process of its own (load-child.ts), bounded in time and connections. */
import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { Identity } from './install.ts'

export interface LoadOrder {
  readonly port: number
  readonly path: string
  readonly body: unknown
  readonly identity: Identity
  readonly connections: number
  readonly ms: number
}

export interface LoadResult {
  /** Answers with status 200, per second. */
  readonly rate: number
  readonly answered: number
  readonly refused: number
  /** Body of the first answer, or of the last one that was not 200. */
  readonly sample: string
  /** Milliseconds from the last byte sent to the last byte of the answer. */
  readonly p50: number
  readonly p99: number
  /** What the generator itself took of a core for each answer. */
  readonly cpuMicroseconds: number
}

export type FromLoad = 'counting' | { readonly result?: LoadResult; readonly problem?: string }

/** @param counting told when the warm-up is over. @throws Error when a connection breaks, or an answer is not 200 */
export async function load(order: LoadOrder, counting: () => void = () => {}): Promise<LoadResult> {
  const child = fork(join(import.meta.dirname, 'load-child.ts'), [], {
    timeout: order.ms + 20_000,
    killSignal: 'SIGKILL'
  })
  const answer = await new Promise<Exclude<FromLoad, 'counting'>>((resolve) => {
    child.on('message', (message: FromLoad) => (message === 'counting' ? counting() : resolve(message)))
    child.once('exit', (code, signal) => resolve({ problem: `the load generator ended with ${signal ?? code}` }))
    child.send(order)
  })
  if (answer.result === undefined) throw new Error(answer.problem)
  const { refused, sample } = answer.result
  if (refused > 0) throw new Error(`${refused} requests were refused, one with: ${sample.slice(0, 300)}`)
  return answer.result
}
