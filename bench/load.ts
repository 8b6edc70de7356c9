/** Puts load on one of our servers from a process of its own (load.c), bounded in time and connections. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { cProgram } from './c-program.ts'
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
  /** Body of the first answer. */
  readonly sample: string
  /** Milliseconds from before a request is written until the last byte of its answer is read. */
  readonly p50: number
  readonly p99: number
  /** What the generator itself took of a core for each answer. */
  readonly cpuMicroseconds: number
}

/** @param counting told when the warm-up is over. @throws Error when a connection breaks, or an answer is not 200 */
export async function load(order: LoadOrder, counting: () => void = () => {}): Promise<LoadResult> {
  const { port, connections, ms, identity } = order
  const args = [port, connections, Math.round(ms), identity.certificate, identity.key, identity.ca].map(String)
  const child = spawn(cProgram('load', [], ['ssl', 'crypto']), args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: ms + 20_000,
    killSignal: 'SIGKILL'
  })
  // One that has ended is told of by its exit.
  child.stdin.on('error', () => {})
  child.stdin.end(requestBytes(order))
  child.stdout.once('data', counting)
  const [said, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`the load generator ended with ${code}: ${complaint}`)
  const [, told = '', ...rest] = said.split('\n')
  const sample = rest.join('\n')
  const { seconds, answered, refused, p50, p99, processorSeconds } = JSON.parse(told)
  if (refused > 0) throw new Error(`${refused} requests were refused, one with: ${sample.slice(0, 300)}`)
  const cpuMicroseconds = (processorSeconds * 1e6) / Math.max(1, answered)
  return { rate: answered / seconds, answered, sample, p50, p99, cpuMicroseconds }
}

function requestBytes({ path, body, port }: LoadOrder): string {
  const payload = JSON.stringify(body)
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(payload)}`
  ]
  return `${lines.join('\r\n')}\r\n\r\n${payload}`
}
