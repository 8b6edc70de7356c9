/** P2 and P3: signing through the real KMS over REST, with mutual TLS and durable audit, against C on the same token. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../sandbox/ports.ts'
import { type Benchmark, type Case, harmonic, rateOf } from './benchmark.ts'
import { type BenchKms, startKms } from './kms.ts'
import { load } from './load.ts'
import { rawLoop } from './raw-loop.ts'
import { sign, singleBody, singlePath, warmUp } from './signing-load.ts'

const slowTokenMs = 5
const slowTokenSessions = 30
/** Chosen by `npm run bench -- sweep-p2`. */
const slowTokenLoad = { connections: 3 * slowTokenSessions, batch: null }

export const slowTokenBenchmark: Benchmark = {
  title: `KMS over REST / C x${slowTokenSessions}, on a token with ${slowTokenMs} ms latency`,
  open: async () => {
    const { kms, key } = await openSlowToken()
    const threads = slowTokenSessions
    return {
      cases: [
        {
          name: `EC-P256, ${slowTokenMs} ms, ${slowTokenSessions} sessions, ${slowTokenLoad.connections} connections`,
          runs: {
            C: (ms) => rawLoop({ token: kms.token, keyId: key.keyId, algorithm: 'EC-P256', threads }, ms),
            KMS: (ms) => sign(kms, key, slowTokenLoad, ms)
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

/** Each worker has signed 3,000 times, on a token that is fast meanwhile but slow enough that all of them are needed. */
export async function openSlowToken() {
  const kms = await startKms(slowTokenSessions)
  const key = await kms.newSigningKey('EC-P256')
  await kms.token.delaySigning(1)
  await warmUp(kms, [
    { key, load: slowTokenLoad, signatures: 8_000 },
    { key, load: { connections: 4, batch: 64 }, signatures: 3_000 * slowTokenSessions }
  ])
  await kms.token.delaySigning(slowTokenMs)
  return { kms, key }
}

/**
 * Loads chosen by `npm run bench -- sweep-ec` and its like (docs/performance.md): the smallest that brings what larger ones bring. EC takes
 * more than 32 still, but what its limit of time was found with is 32 (pkcs11.md section 5).
 */
const fastTokenCases = [
  { algorithm: 'EC-P256', threads: 1, floor: 0.6, connections: 32, batch: 32 },
  { algorithm: 'RSA-3072', threads: 2, floor: 0.7, connections: 4, batch: 4 }
] as const
const batchesAtOnce = 2

export const fastTokenBenchmark: Benchmark = {
  title: 'KMS over REST / C, on a fast token',
  open: async () => {
    const { kms, keys } = await openFastToken()
    const hello = await startHello(kms)
    const cases: Case[] = []
    for (const { algorithm, threads, floor, connections, batch } of fastTokenCases) {
      const key = keys[algorithm]
      const bound = (rates: Readonly<Record<string, number>>) => harmonic(rateOf(rates, 'C'), rateOf(rates, 'hello'))
      const C = (ms: number) => rawLoop({ token: kms.token, keyId: key.keyId, algorithm, threads }, ms)
      const cores = threads === 1 ? 'one core' : 'two cores'
      const limits = [
        { time: 'p99', most: 25 },
        { time: 'event-loop lag p99', most: 10 }
      ]
      const ofC = { name: 'KMS / C', floor, aim: null, of: ratioToC }
      cases.push({
        name: `${algorithm}, C on ${cores}, ${connections} connections`,
        runs: {
          C,
          KMS: (ms) => sign(kms, key, { connections, batch: null }, ms),
          hello: (ms) =>
            load({ port: hello.port, path: singlePath(key), body: singleBody, identity: kms.caller, connections, ms })
        },
        ratios: [
          ofC,
          { name: 'KMS / harmonic(C, hello)', floor: 0.5, aim: 0.8, of: (rates) => rateOf(rates, 'KMS') / bound(rates) }
        ],
        ours: 'KMS',
        limits
      })
      cases.push({
        name: `${algorithm}, C on ${cores}, ${batchesAtOnce} connections, ${batch} messages a call`,
        runs: { C, KMS: (ms) => sign(kms, key, { connections: batchesAtOnce, batch }, ms) },
        ratios: [ofC],
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

function ratioToC(rates: Readonly<Record<string, number>>): number {
  return rateOf(rates, 'KMS') / rateOf(rates, 'C')
}

/** Warm by EC signatures over both routes: RSA would need half a minute for as many calls, of the same code. */
export async function openFastToken() {
  const kms = await startKms(availableParallelism())
  const keys = { 'EC-P256': await kms.newSigningKey('EC-P256'), 'RSA-3072': await kms.newSigningKey('RSA-3072') }
  const { 'EC-P256': ec, 'RSA-3072': rsa } = keys
  await warmUp(kms, [
    { key: ec, load: { connections: 32, batch: null }, signatures: 12_000 },
    { key: ec, load: { connections: 2, batch: 32 }, signatures: 6_000 },
    { key: rsa, load: { connections: 4, batch: null }, signatures: 500 }
  ])
  return { kms, keys }
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
