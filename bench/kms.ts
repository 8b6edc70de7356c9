/** The real KMS program as an install runs it: database with durable writes, token, internal CA, mutual TLS, audit. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Child, startChild, whenReady } from '../sandbox/child.ts'
import { freePort } from '../sandbox/ports.ts'
import { startSandbox } from '../sandbox/sandbox.ts'
import { type Identity, newInstall } from './install.ts'
import { processorTimes } from './processor-time.ts'
import { type BenchToken, newToken } from './token.ts'

export interface BenchKey {
  readonly keyId: string
  readonly publicKey: KeyObject
}

export interface BenchKms {
  readonly token: BenchToken
  readonly port: number
  readonly kms: Identity
  readonly caller: Identity
  readonly newSigningKey: (algorithm: 'EC-P256' | 'RSA-3072') => Promise<BenchKey>
  /** p99 of the KMS's event-loop lag since the last time that this was asked; milliseconds. */
  readonly lagP99: () => Promise<number>
  /** Processor time so far; seconds. */
  readonly spent: () => { readonly kms: number; readonly agent: number; readonly database: number }
  readonly end: () => Promise<void>
}

const root = join(import.meta.dirname, '..')
/** prom-client samples with a timer of 10 ms, and what it tells is the time between two of its turns. */
const lagSampleMs = 10

/** @param sessions of the KMS at the token */
export async function startKms(sessions: number): Promise<BenchKms> {
  const dir = mkdtempSync(join(tmpdir(), 'ks-bench-'))
  const ends: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
  const end = async () => {
    for (const one of ends.reverse()) await one()
  }
  try {
    const [{ mariadb, stop }, token] = await Promise.all([startSandbox({ parts: ['mariadb'] }), newToken(dir)])
    ends.push(stop)
    const port = await freePort()
    const install = await newInstall(join(dir, 'install'), { token, mariadb, port, sessions })
    const agent = new Agent({ keepAlive: true, ...credentials(install.caller) })
    const ask = (method: string, path: string, body?: unknown) => exchange(agent, install.address + path, method, body)
    const child: Child = startChild({
      name: 'KMS',
      command: process.execPath,
      args: [...kmsArguments(), join(root, 'services/kms/main.ts'), '--config', install.config],
      logFile: join(dir, 'kms.log')
    })
    ends.push(
      () => child.stop(),
      () => agent.destroy()
    )
    await whenReady(child, async () => (await ask('GET', '/readyz')).status === 200, 30_000)
    return {
      token,
      port,
      kms: install.kms,
      caller: install.caller,
      newSigningKey: async (algorithm) => {
        const { status, body } = await ask('POST', '/v1/signing-keys', { tenant: `Bench-${algorithm}`, algorithm })
        if (status !== 200) throw new Error(`no signing key: HTTP ${status}: ${body}`)
        const { keyId, publicKey } = JSON.parse(body)
        return { keyId, publicKey: createPublicKey(publicKey) }
      },
      lagP99: async () => {
        const { body } = await ask('GET', '/metrics')
        const seconds = Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(body)?.[1])
        return Math.max(0, seconds * 1000 - lagSampleMs)
      },
      spent: () => {
        const { own, children } = processorTimes(child.pid)
        return { kms: own, agent: children, database: processorTimes(mariadb.child.pid).own }
      },
      end
    }
  } catch (thrown) {
    await end()
    throw thrown
  }
}

/** For a profile of the KMS under the load of a benchmark: the folder that `node --cpu-prof` writes to. */
function kmsArguments(): string[] {
  const folder = process.env.KEYSCALER_BENCH_CPU_PROFILE
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]
}

export function credentials({ certificate, key, ca }: Identity): { cert: string; key: string; ca: string } {
  return { cert: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8'), ca: readFileSync(ca, 'utf8') }
}

async function exchange(
  agent: Agent,
  url: string,
  method: string,
  sent: unknown
): Promise<{ status: number; body: string }> {
  const payload = sent === undefined ? undefined : JSON.stringify(sent)
  const headers = payload === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, method, headers }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}
