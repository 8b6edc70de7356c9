/** That the harness works and that what it measures is signing. How fast anything is, is no test's business. */
import assert from 'node:assert/strict'
import { verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { issueCertificate } from '../lib/x509/issue.ts'
import { newSerial } from '../lib/x509/serial.ts'
import { newServiceKey } from '../lib/x509/software-key.ts'
import { file, newCa } from '../lib/x509/testing.ts'
import { validity } from '../lib/x509/validity.ts'
import { type Case, harmonic, judge, judgeTimes, median, type Round } from './benchmark.ts'
import { signFor } from './key-store.ts'
import { load } from './load.ts'
import { processorTimes } from './processor-time.ts'
import { rawLoop, signedByC } from './raw-loop.ts'
import { runRounds } from './rounds.ts'
import { newToken } from './token.ts'

const dir = mkdtempSync(join(tmpdir(), 'bench-test-'))
after(() => rmSync(dir, { recursive: true, force: true }))

test('a round has C and the key store sign with the same key of the same token, and the C loop really signs', async () => {
  const token = await newToken(dir)
  const store = await token.open(1)
  try {
    const key = await store.createKey({ id: 'b'.repeat(32), algorithm: 'EC-P256', label: 'bench' })
    const loop = { token, keyId: key.id, algorithm: 'EC-P256', threads: 2 } as const
    const { signature } = await rawLoop(loop, 10)
    const publicKey = { key: await store.publicKey(key), dsaEncoding: 'ieee-p1363' } as const
    assert.equal(verify('sha256', signedByC, publicKey, signature), true)

    const one: Case = {
      name: 'tiny',
      runs: { C: (ms) => rawLoop(loop, ms), ours: (ms) => signFor(store, key, ms) },
      ratios: [],
      ours: 'ours',
      limits: []
    }
    const { counted, disturbed } = await runRounds(one, { rounds: 1, runMs: 250, until: Date.now() + 10_000 })
    assert.deepEqual([counted.length, disturbed], [1, 0])
    const [round] = counted
    assert.ok((round?.rates.C ?? 0) > 0 && (round?.rates.ours ?? 0) > 0, JSON.stringify(round))
    assert.ok((round?.times.p99 ?? 0) >= (round?.times.p50 ?? Number.NaN), JSON.stringify(round))

    await assert.rejects(rawLoop({ ...loop, keyId: 'c'.repeat(32) }, 10), /finding the key/)
    await token.delaySigning(20)
    // 50 signatures a second and thread, one more at the edge: the delay is on, for C as for everybody.
    assert.ok((await rawLoop(loop, 100)).rate < 200)
  } finally {
    await store.close()
  }
})

test('the load generator counts answers over mutual TLS, and a refusal is no answer', async () => {
  const ca = await newCa('EC-P256', 'CN=Bench CA')
  const { privateKey, publicKey } = await newServiceKey()
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: [{ type: 'CN', value: 'bench' }],
      publicKey,
      serial: newSerial(),
      issuer: { certificate: ca.certificate },
      ipAddresses: ['127.0.0.1'],
      ...validity(1, ca.certificate)
    },
    ca.signer
  )
  const pem = { cert: certificate.toString(), key: privateKey, ca: ca.certificate.toString() }
  let seen = ''
  const server = createServer({ ...pem, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    request.resume()
    seen = `${request.method} ${request.url}`
    response.writeHead(request.url === '/refused' ? 403 : 200, { 'content-length': 2 }).end('ok')
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const identity = { certificate: file(pem.cert), key: file(pem.key), ca: file(pem.ca) }
  const order = { port, path: '/signatures', body: { message: 'x' }, identity, connections: 3, ms: 250 }
  try {
    let began = false
    const { rate, answered, sample, p50, p99 } = await load(order, () => {
      began = true
    })
    assert.ok(began && answered > 0 && rate > 0)
    assert.deepEqual([seen, sample], ['POST /signatures', 'ok'])
    assert.ok(p50 > 0 && p99 >= p50)
    await assert.rejects(load({ ...order, path: '/refused' }), /refused/)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('a ratio is the median of its rounds, held to a floor and an aim', () => {
  const rounds = [0.5, 0.9, 0.8].map((ours): Round => ({ rates: { C: 100, ours: 100 * ours }, times: {}, costs: {} }))
  const ratio = { name: 'ours / C', of: ({ C = 0, ours = 0 }: Readonly<Record<string, number>>) => ours / C }
  const verdict = (floor: number | null, aim: number | null) => judge({ ...ratio, floor, aim }, rounds).verdict
  const { median: middle, min, max } = judge({ ...ratio, floor: 0.6, aim: 0.9 }, rounds)
  assert.deepEqual([middle, min, max], [0.8, 0.5, 0.9])
  assert.equal(verdict(0.6, 0.9), 'floor held')
  assert.equal(verdict(0.6, 0.8), 'aim reached')
  assert.equal(verdict(0.81, 0.9), 'below the floor')
  assert.equal(verdict(0.81, null), 'below the floor')
  assert.equal(judge({ ...ratio, floor: 0.6, aim: 0.9 }, []).verdict, 'below the floor')
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(harmonic(2, 2), 1)
})

test('a time is held to its limit by its median, and one without a limit is only told', () => {
  const rounds = [1, 30, 2].map((p99): Round => ({ rates: {}, times: { p99, p50: p99 }, costs: {} }))
  const of = (most: number) =>
    judgeTimes({ name: '', runs: {}, ratios: [], ours: '', limits: [{ time: 'p99', most }] }, rounds)
  assert.deepEqual(
    of(2).map(({ name, median: middle, max, most, verdict }) => [name, middle, max, most, verdict]),
    [
      ['p99', 2, 30, 2, 'floor held'],
      ['p50', 2, 30, null, 'floor held']
    ]
  )
  assert.equal(of(1)[0]?.verdict, 'below the floor')
})

test("a program's processor time grows as it works", () => {
  const before = processorTimes(process.pid).own
  const end = performance.now() + 60
  while (performance.now() < end) Math.sqrt(end)
  assert.ok(processorTimes(process.pid).own > before)
  assert.deepEqual(processorTimes(2 ** 22), { own: 0, children: 0 })
})
