/** Builds raw-loop.c and runs it: the rate that C reaches on a token, the reference of every benchmark here. */
import { spawn, spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Measured } from './benchmark.ts'
import type { BenchToken } from './token.ts'

const root = join(import.meta.dirname, '..')

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
  const child = spawn(build(), args, {
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

/** Two builds at once are harmless: each renames a finished file into place. @returns the program's path */
function build(): string {
  const folder = join(root, '.cache', 'bench')
  const program = join(folder, 'raw-loop')
  const sources = [
    join(import.meta.dirname, 'raw-loop.c'),
    ...['cryptoki.h', 'functions.h'].map((name) => join(root, 'sandbox/luna', name))
  ]
  const made = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (sources.every((file) => statSync(file).mtimeMs <= made)) return program
  mkdirSync(folder, { recursive: true })
  const draft = `${program}.${process.pid}`
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread']
  const cc = spawnSync('cc', [...flags, '-o', draft, sources[0] ?? '', '-ldl'], { encoding: 'utf8' })
  if (cc.status !== 0) {
    rmSync(draft, { force: true })
    throw new Error(`bench/raw-loop.c did not compile: ${cc.error?.message ?? cc.stderr}`)
  }
  renameSync(draft, program)
  return program
}
