/** Builds raw-loop.c and runs it: the rate that C reaches on a token, the reference of every benchmark here. */
import { spawn } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Measured } from './benchmark.ts'
import { cProgram } from './c-program.ts'
import type { BenchToken } from './token.ts'

const headers = ['cryptoki.h', 'functions.h'].map((name) => `sandbox/luna/${name}`)

export interface RawLoop {
  readonly token: BenchToken
  /** CKA_ID, hex. */
  readonly keyId: string
  readonly algorithm: 'EC-P256' | 'RSA-3072'
  readonly threads: number
  /** Also verify each signature, in the token: the work that the KMS does for one. */
  readonly verify?: boolean
}

export interface RawResult extends Measured {
  /** The last one, of `signedByC`, so that somebody can verify that signing is what was measured. ECDSA: r||s. */
  readonly signature: Buffer
}

/** What it signs the SHA-256 of. */
export const signedByC = Buffer.from('the raw loop')

/**
 * N threads with a session each sign for so long, after a tenth of a second to get warm. One login; the PIN goes over a pipe.
 * @throws Error with what the program said
 */
export async function rawLoop(
  { token, keyId, algorithm, threads, verify = false }: RawLoop,
  ms: number
): Promise<RawResult> {
  const kind = algorithm === 'EC-P256' ? 'ec' : 'rsa'
  const args = [
    token.module,
    token.serial,
    keyId,
    kind,
    hash('sha256', signedByC),
    String(threads),
    String(Math.round(ms)),
    verify ? 'verify' : 'sign'
  ]
  const child = spawn(cProgram('raw-loop', headers, ['dl']), args, {
    env: { ChrystokiConfigurationPath: token.confPath },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: ms + 20_000,
    killSignal: 'SIGKILL'
  })
  child.stdin.end(`${token.pin}\n`)
  const [said, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`the C loop ended with ${code}: ${complaint}`)
  const { signs, seconds, signature } = JSON.parse(said)
  return { rate: signs / seconds, signature: Buffer.from(signature, 'hex') }
}
