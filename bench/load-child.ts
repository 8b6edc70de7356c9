/**
 * The load generator: so many connections with mutual TLS, one request in flight on each, always the same one. It writes and reads
 * bytes itself: a general HTTP client costs more of the machine than the server that is measured.
 */
import { readFileSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { FromLoad, LoadOrder, LoadResult } from './load.ts'

const warmMs = 300

process.once('disconnect', () => process.exit(1))
process.once('message', (order: LoadOrder) => {
  run(order).then(
    (result) => tell({ result }, 0),
    (thrown: unknown) => tell({ problem: String(thrown) }, 1)
  )
})

function tell(message: FromLoad, thenExit?: number): void {
  process.send?.(message, () => thenExit !== undefined && process.exit(thenExit))
}

async function run(order: LoadOrder): Promise<LoadResult> {
  const bytes = requestBytes(order)
  const { certificate, key, ca } = order.identity
  const context = createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key), ca: readFileSync(ca) })
  const callers = await Promise.all(Array.from({ length: order.connections }, () => open(order.port, context)))
  const latency = createHistogram()
  let answered = 0
  let refused = 0
  let sample = ''
  let state: 'warming' | 'counting' | 'over' = 'warming'

  const drive = ({ socket, hear }: Caller) =>
    new Promise<void>((resolve, reject) => {
      let began = 0
      let head = nothing
      const next = () => {
        if (state === 'over') return resolve()
        began = performance.now()
        socket.write(bytes)
      }
      socket.on('error', reject)
      socket.on('close', () => (state === 'over' ? resolve() : reject(new Error('the server closed a connection'))))
      hear((chunk) => {
        const seen = head.length === 0 ? chunk : Buffer.concat([head, chunk])
        const answer = wholeAnswer(seen)
        head = answer === null ? Buffer.from(seen) : nothing
        if (answer === null) return
        if (state === 'counting') {
          if (answer.status === 200) answered += 1
          else refused += 1
          latency.record(Math.max(1, Math.round((performance.now() - began) * 1000)))
        }
        if (answer.status !== 200 || sample === '') sample = answer.body()
        next()
      })
      next()
    })

  const all = Promise.all(callers.map(drive))
  const failed = all.then(() => {})
  await Promise.race([failed, elapsed(warmMs)])
  state = 'counting'
  tell('counting')
  const began = performance.now()
  const cpu = process.cpuUsage()
  await Promise.race([failed, elapsed(order.ms)])
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const result = {
    rate: answered / seconds,
    answered,
    refused,
    sample,
    p50: latency.percentile(50) / 1000,
    p99: latency.percentile(99) / 1000,
    cpuMicroseconds: (user + system) / Math.max(1, answered)
  }
  state = 'over'
  await Promise.race([all, elapsed(2000)])
  for (const { socket } of callers) socket.destroy()
  return result
}

interface Caller {
  readonly socket: TLSSocket
  /** Sets who is given what comes; each piece is good until he returns. */
  readonly hear: (heard: (chunk: Buffer) => void) => void
}

const nothing: Buffer = Buffer.alloc(0)
/** What comes goes through one buffer for all, past the streams of Node: they are a third of what the generator costs. */
const comesIn = Buffer.alloc(65_536)

function open(port: number, secureContext: SecureContext): Promise<Caller> {
  return new Promise((resolve, reject) => {
    let heard = (_: Buffer): void => {}
    const onread = {
      buffer: comesIn,
      callback: (length: number) => {
        heard(comesIn.subarray(0, length))
        return true
      }
    }
    // net.connect has it in its documentation, and tls.connect hands it on.
    const options = { host: '127.0.0.1', port, secureContext, onread }
    const socket = connect(options, () => {
      socket.off('error', reject)
      resolve({ socket, hear: (hears) => (heard = hears) })
    })
    socket.setNoDelay(true)
    socket.once('error', reject)
  })
}

function requestBytes({ path, body, port }: LoadOrder): Buffer {
  const payload = JSON.stringify(body)
  const lines = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(payload)}`
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${payload}`)
}

/** Null until all of it is there. Answers of our own servers only: HTTP/1.1 with a content-length. */
function wholeAnswer(bytes: Buffer): { status: number; body: () => string } | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = bytes.toString('latin1', 0, end)
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
  if (Number.isNaN(length)) throw new Error(`an answer without content-length: ${head}`)
  if (bytes.length < end + 4 + length) return null
  return { status: Number(head.slice(9, 12)), body: () => bytes.toString('utf8', end + 4) }
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
