/** P2 and P3: signing through the real KMS over REST, with mutual TLS and durable audit, against C on the same token. */
import { fork } from 'node:child_process'
import { randomBytes, verify } from 'node:crypto'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { signedBytes } from '../lib/kms-client/signed-message.ts'
import { freePort } from '../sandbox/ports.ts'
import { type Benchmark, type Case, harmonic, type Measured, rateOf } from './benchmark.ts'
import { type BenchKey, type BenchKms, startKms } from './kms.ts'
import { type LoadOrder, load } from './load.ts'
import { rawLoop } from './raw-loop.ts'

const message = randomBytes(100)
const body = { message: message.toString('base64') }
const pathOf = ({ keyId }: BenchKey) => `/v1/signing-keys/${keyId}/signatures`

const batchBody = (batch: number) => ({ messages: Array.from({ length: batch }, () => body.message) })
const batchPathOf = ({ keyId }: BenchKey) => `/v1/signing-keys/${keyId}/signature-batches`

const slowTokenMs = 5
const slowTokenSessions = 30

export const slowTokenBenchmark: Benchmark = {
  title: `KMS over REST / C x${slowTokenSessions}, on a token with ${slowTokenMs} ms latency`,
  open: async () => {
    const kms = await startKms(slowTokenSessions)
    const key = await kms.newSigningKey('EC-P256')
    await warmUp(kms, key, 3 * slowTokenSessions)
    await kms.token.delaySigning(slowTokenMs)
    const threads = slowTokenSessions
    return {
      cases: [
        {
          name: `EC-P256, ${slowTokenMs} ms, ${slowTokenSessions} sessions`,
          runs: {
            C: (ms) => rawLoop({ token: kms.token, keyId: key.keyId, algorithm: 'EC-P256', threads }, ms),
            KMS: (ms) => signOverRest(kms, key, 3 * slowTokenSessions, ms)
          },
          ratios: [
            { name: 'KMS / C', floor: 0.9, aim: 0.97, of: (rates) => rateOf(rates, 'KMS') / rateOf(rates, 'C') }
          ],
          ours: 'KMS',
          limits: [{ time: 'event-loop lag p99', most: 10 }]
        }
      ],
      end: kms.end
    }
  }
}

export const fastTokenBenchmark: Benchmark = {
  title: 'KMS over REST / C, on a fast token',
  open: async () => {
    const kms = await startKms(availableParallelism())
    const hello = await startHello(kms)
    const cases: Case[] = []
    for (const { algorithm, threads, floor, connections, batch } of [
      // Calls of many messages, two at once: as many under way as with single calls, since the limit of time is the same. What the API
      // takes at most, 64, gives the same rate and twice the latency.
      { algorithm: 'EC-P256', threads: 1, floor: 0.6, connections: 64, batch: 32 },
      { algorithm: 'RSA-3072', threads: 2, floor: 0.7, connections: 8, batch: 4 }
    ] as const) {
      const key = await kms.newSigningKey(algorithm)
      await warmUp(kms, key, connections)
      const batches = 2
      const bound = (rates: Readonly<Record<string, number>>) => harmonic(rateOf(rates, 'C'), rateOf(rates, 'hello'))
      const C = (ms: number) => rawLoop({ token: kms.token, keyId: key.keyId, algorithm, threads }, ms)
      const cores = threads === 1 ? 'one core' : 'two cores'
      const limits = [
        { time: 'p99', most: 25 },
        { time: 'event-loop lag p99', most: 10 }
      ]
      cases.push({
        name: `${algorithm}, C on ${cores}, ${connections} connections`,
        runs: {
          C,
          KMS: (ms) => signOverRest(kms, key, connections, ms),
          hello: (ms) => load({ port: hello.port, path: pathOf(key), body, identity: kms.caller, connections, ms })
        },
        ratios: [
          { name: 'KMS / C', floor, aim: null, of: (rates) => rateOf(rates, 'KMS') / rateOf(rates, 'C') },
          { name: 'KMS / harmonic(C, hello)', floor: 0.5, aim: 0.8, of: (rates) => rateOf(rates, 'KMS') / bound(rates) }
        ],
        ours: 'KMS',
        limits
      })
      cases.push({
        name: `${algorithm}, C on ${cores}, ${batches} connections, ${batch} messages a call`,
        runs: { C, KMS: (ms) => signBatches(kms, key, batches, batch, ms) },
        ratios: [{ name: 'KMS / C', floor, aim: null, of: (rates) => rateOf(rates, 'KMS') / rateOf(rates, 'C') }],
        ours: 'KMS',
        limits
      })
    }
    return {
      cases,
      end: async () => {
        await hello.end()
        await kms.end()
      }
    }
  }
}

const warmUpMs = 4000

/** A KMS runs for months: what the compiler still does in the first seconds, in each thread for itself, is not measured. */
async function warmUp(kms: BenchKms, key: BenchKey, connections: number): Promise<void> {
  await load({ port: kms.port, path: pathOf(key), body, identity: kms.caller, connections, ms: warmUpMs })
}

function signOverRest(kms: BenchKms, key: BenchKey, connections: number, ms: number): Promise<Measured> {
  return underLoad(kms, { path: pathOf(key), body, connections, ms }, 1, (answer) => {
    proveSigned(key, z.object({ signature: z.string() }).parse(answer).signature)
  })
}

function signBatches(kms: BenchKms, key: BenchKey, connections: number, batch: number, ms: number): Promise<Measured> {
  return underLoad(kms, { path: batchPathOf(key), body: batchBody(batch), connections, ms }, batch, (answer) => {
    z.object({ signatures: z.array(z.string()).length(batch) })
      .parse(answer)
      .signatures.forEach((one) => {
        proveSigned(key, one)
      })
  })
}

function proveSigned(key: BenchKey, signature: string): void {
  const bytes = Buffer.from(signature, 'base64')
  if (!verify('sha256', signedBytes(message), key.publicKey, bytes)) throw new Error('a signature does not verify')
}

/** @param each signatures in an answer; rate and costs are told for one of them */
async function underLoad(
  kms: BenchKms,
  work: Pick<LoadOrder, 'path' | 'body' | 'connections' | 'ms'>,
  each: number,
  prove: (answer: unknown) => void
): Promise<Measured> {
  let before = kms.spent()
  const order = { ...work, port: kms.port, identity: kms.caller }
  const { rate, answered, p50, p99, sample, cpuMicroseconds } = await load(order, () => {
    // Handshakes are over when it begins to count; what they cost is not what signing costs.
    before = kms.spent()
    void kms.lagP99()
  })
  const after = kms.spent()
  const lag = await kms.lagP99()
  prove(JSON.parse(sample))
  const spent = (spender: keyof typeof after) => ((after[spender] - before[spender]) * 1e6) / (answered * each)
  const costs = {
    KMS: spent('kms'),
    agent: spent('agent'),
    database: spent('database'),
    generator: cpuMicroseconds / each
  }
  return { rate: rate * each, times: { p50, p99, 'event-loop lag p99': lag }, costs }
}

async function startHello(kms: BenchKms): Promise<{ port: number; end: () => Promise<void> }> {
  const port = await freePort()
  const child = fork(join(import.meta.dirname, 'hello-child.ts'), [], {})
  const listening = once(child, 'message')
  child.send({ identity: kms.kms, port })
  await listening
  return {
    port,
    end: async () => {
      child.disconnect()
      await once(child, 'exit')
    }
  }
}
