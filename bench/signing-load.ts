/** Load on the KMS's signing routes, single calls and calls of many messages, with what each process spends on a signature. */
import { randomBytes, verify } from 'node:crypto'
import { z } from 'zod'
import { signedBytes } from '../lib/kms-client/signed-message.ts'
import type { Measured } from './benchmark.ts'
import type { BenchKey, BenchKms } from './kms.ts'
import { type LoadOrder, load } from './load.ts'

/** How calls come: so many at once, each with so many messages. */
export interface Load {
  readonly connections: number
  /** Null: the route for one message. */
  readonly batch: number | null
}

const message = randomBytes(100)
export const singleBody = { message: message.toString('base64') }
export const singlePath = ({ keyId }: BenchKey) => `/v1/signing-keys/${keyId}/signatures`
const batchBody = (batch: number) => ({ messages: Array.from({ length: batch }, () => singleBody.message) })
const batchPath = ({ keyId }: BenchKey) => `/v1/signing-keys/${keyId}/signature-batches`

export function sign(kms: BenchKms, key: BenchKey, { connections, batch }: Load, ms: number): Promise<Measured> {
  return batch === null
    ? underLoad(kms, { path: singlePath(key), body: singleBody, connections, ms }, 1, (answer) => {
        proveSigned(key, z.object({ signature: z.string() }).parse(answer).signature)
      })
    : underLoad(kms, { path: batchPath(key), body: batchBody(batch), connections, ms }, batch, (answer) => {
        const { signatures } = z.object({ signatures: z.array(z.string()).length(batch) }).parse(answer)
        for (const one of signatures) proveSigned(key, one)
      })
}

/** Of one kind of call. */
export interface WarmUp {
  readonly key: BenchKey
  readonly load: Load
  readonly signatures: number
}

const warmUpRunMs = 1_500
/** Of all together: a busy machine must not use up the minute that a benchmark has. */
const longestWarmUpMs = 25_000

/**
 * A KMS runs for months: what the compiler still does at first, in each thread for itself, is not measured. V8 compiles a function for
 * good after some 3,000 calls in a thread, so it is signatures that are counted and not seconds.
 */
export async function warmUp(kms: BenchKms, parts: readonly WarmUp[]): Promise<void> {
  const end = Date.now() + longestWarmUpMs
  for (const { key, load: one, signatures } of parts) {
    for (let signed = 0; signed < signatures && Date.now() < end; ) {
      signed += ((await sign(kms, key, one, warmUpRunMs)).rate * warmUpRunMs) / 1000
    }
  }
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
