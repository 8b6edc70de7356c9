/**
 * One broker's first answer (ApiVersions, the request that every Kafka since 0.10 takes before anything else, login
 * included), with bounded reads: tells a silent, a refusing and a wrong peer apart, and judges its certificate.
 */
import type { Socket } from 'node:net'
import { resolveAddress } from './address.ts'
import { DialError, type DialProblem, dial, readUntil } from './dial.ts'
import { shakeHands, type TlsFacts } from './tls.ts'

export interface BrokerGreeting {
  readonly server: string
  readonly problem: DialProblem | 'unresolved' | 'not-kafka' | 'wants-tls' | null
  readonly tls: TlsFacts | null
  readonly loopback: boolean
  /** Highest version of Produce (api key 0): 7 = Kafka 2.1, 9 = 2.8, 11 = 3.8, 12 = 4.0; null when not reached. */
  readonly produceVersion: number | null
}

const mostBytes = 16_384

/** @param server host:port @param tls present: over TLS. Never throws for what a peer does. */
export async function greetBroker(server: string, tls?: { readonly ca?: string | undefined }): Promise<BrokerGreeting> {
  const split = server.lastIndexOf(':')
  const nothing = { server, problem: null, tls: null, loopback: false, produceVersion: null }
  const to = await resolveAddress(server.slice(0, split))
  if (to === null) return { ...nothing, problem: 'unresolved' }
  const greeting = { ...nothing, loopback: to.loopback }
  let socket: Socket | undefined
  let facts: TlsFacts | null = null
  try {
    socket = await dial(to, Number(server.slice(split + 1)))
    let talk: Socket = socket
    if (tls !== undefined) {
      const shaken = await shakeHands(socket, { host: to.host, ca: tls.ca })
      facts = shaken.facts
      if (shaken.secured === null) return { ...greeting, tls: facts }
      talk = shaken.secured
    }
    talk.write(apiVersionsRequest())
    const answer = await readUntil(talk, responseFrame, { most: mostBytes, ms: 3000 })
    const produceVersion = readProduceVersion(answer)
    return { ...greeting, tls: facts, produceVersion, problem: produceVersion === null ? 'not-kafka' : null }
  } catch (thrown) {
    if (!(thrown instanceof DialError)) throw thrown
    // A TLS listener hangs up on plain bytes, or answers with a TLS alert (which is no frame of ours).
    const problem = thrown.problem === 'closed' && tls === undefined ? 'wants-tls' : thrown.problem
    return { ...greeting, tls: facts, problem }
  } finally {
    socket?.destroy()
  }
}

const correlation = 0x6b73_6331

/** int32 length, int16 api key 18, int16 version 0, int32 correlation id, string client id. */
function apiVersionsRequest(): Buffer {
  const client = Buffer.from('keyscaler')
  const request = Buffer.alloc(4 + 10 + client.length)
  request.writeInt32BE(10 + client.length, 0)
  request.writeInt16BE(18, 4)
  request.writeInt16BE(0, 6)
  request.writeInt32BE(correlation, 8)
  request.writeInt16BE(client.length, 12)
  client.copy(request, 14)
  return request
}

/** The response without its length; empty when it cannot be one ("HTTP" read as a length is over a billion). */
function responseFrame(bytes: Buffer): Buffer | null {
  if (bytes.length < 4) return null
  const length = bytes.readInt32BE(0)
  if (length < 10 || length > mostBytes) return Buffer.alloc(0)
  return bytes.length < 4 + length ? null : bytes.subarray(4, 4 + length)
}

/** int32 correlation id, int16 error, int32 count, then (int16 key, int16 least, int16 most) each. */
function readProduceVersion(frame: Buffer): number | null {
  if (frame.length < 10 || frame.readInt32BE(0) !== correlation || frame.readInt16BE(4) !== 0) return null
  const count = frame.readInt32BE(6)
  for (let at = 10, row = 0; row < count && at + 6 <= frame.length; row++, at += 6) {
    if (frame.readInt16BE(at) === 0) return frame.readInt16BE(at + 4)
  }
  return null
}
