/** P1: signing through our key store, in one process and without REST, against C on the same token with as many threads. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { KeyRef, KeyStore } from '../lib/keystore/keystore.ts'
import { type Benchmark, type Case, type Measured, rateOf } from './benchmark.ts'
import { processorTimes } from './processor-time.ts'
import { rawLoop } from './raw-loop.ts'
import { newToken } from './token.ts'

/** As many as a busy KMS has; more only wait. */
const callsAtOnce = 64
const lagSampleMs = 10
/** As for the KMS in rest.ts: threads that have just been started run code that is not compiled yet. */
const warmUpMs = 2_000
/**
 * Each of our signatures is verified before it is released, and for P-256 that costs as much as SoftHSM takes to make it: plain C
 * is twice as fast, whatever we do, so that ratio is told and held to nothing. C that does the same work is what we are held to.
 */
const measured = [
  { algorithm: 'EC-P256', threads: 1, floor: null, aim: null },
  { algorithm: 'EC-P256', threads: 2, floor: null, aim: null },
  { algorithm: 'RSA-3072', threads: 2, floor: 0.9, aim: 0.97 }
] as const

export const keyStoreBenchmark: Benchmark = {
  title: 'signing in process / C, same token and thread count',
  open: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ks-bench-'))
    const token = await newToken(dir)
    const stores = new Map([
      [1, await token.open(1)],
      [2, await token.open(2)]
    ])
    const cases: Case[] = []
    for (const { algorithm, threads, floor, aim } of measured) {
      const store = stores.get(threads)
      if (store === undefined) throw new Error('no key store is open')
      const key = await store.createKey({ id: randomBytes(16).toString('hex'), algorithm, label: 'bench' })
      const loop = { token, keyId: key.id, algorithm, threads }
      await signFor(store, key, warmUpMs)
      cases.push({
        name: `${algorithm}, ${threads} thread${threads === 1 ? '' : 's'}`,
        runs: {
          C: (ms) => rawLoop(loop, ms),
          'C verifying': (ms) => rawLoop({ ...loop, verify: true }, ms),
          'key store': (ms) => signFor(store, key, ms)
        },
        ratios: [
          { name: 'key store / C', floor, aim, of: (rates) => rateOf(rates, 'key store') / rateOf(rates, 'C') },
          {
            name: 'key store / C verifying',
            floor: 0.9,
            aim: 0.97,
            of: (rates) => rateOf(rates, 'key store') / rateOf(rates, 'C verifying')
          }
        ],
        ours: 'key store',
        limits: [{ time: 'event-loop lag p99', most: 10 }]
      })
    }
    return {
      cases,
      end: async () => {
        for (const store of stores.values()) await store.close()
        rmSync(dir, { recursive: true, force: true })
      }
    }
  }
}

export async function signFor(store: KeyStore, key: KeyRef, ms: number): Promise<Measured> {
  const message = randomBytes(100)
  const latency = createHistogram()
  const lag = monitorEventLoopDelay({ resolution: lagSampleMs })
  let signed = 0
  let counting = false
  let over = false
  const one = async () => {
    while (!over) {
      const began = performance.now()
      await store.sign(key, message)
      if (!counting) continue
      signed += 1
      latency.record(Math.max(1, Math.round((performance.now() - began) * 1000)))
    }
  }
  const all = Array.from({ length: callsAtOnce }, one)
  await elapsed(100)
  counting = true
  lag.enable()
  const before = processorTimes(process.pid)
  const began = performance.now()
  await elapsed(ms)
  const seconds = (performance.now() - began) / 1000
  const rate = signed / seconds
  const after = processorTimes(process.pid)
  over = true
  lag.disable()
  await Promise.all(all)
  const lagMs = Math.max(0, lag.percentile(99) / 1e6 - lagSampleMs)
  return {
    rate,
    costs: {
      caller: ((after.own - before.own) * 1e6) / signed,
      agents: ((after.children - before.children) * 1e6) / signed
    },
    times: { p50: latency.percentile(50) / 1000, p99: latency.percentile(99) / 1000, 'event-loop lag p99': lagMs }
  }
}

const elapsed = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
