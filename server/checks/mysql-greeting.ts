/**
 * The first words of a MySQL server, before any account is named: is it one, does it offer TLS, and is its certificate
 * good for the host? mysql2 cannot tell a silent peer from a wrong one, and checks no name where the host is an
 * address, so nothing is left to it here. (An unfinished handshake counts as a connection error for max_connect_errors,
 * default 100 in a row; the login that follows sets the count back.)
 */
import type { Socket } from 'node:net'
import type { ResolvedAddress } from './address.ts'
import { DialError, type DialProblem, dial, readUntil } from './dial.ts'
import { shakeHands, type TlsFacts } from './tls.ts'

export interface MysqlGreeting {
  readonly problem: DialProblem | 'not-mysql' | 'refused-by-server' | null
  /** "10.11.19-MariaDB"; empty unless it greeted. */
  readonly version: string
  /** The server's error instead of a greeting: 1040 too many connections, 1129 host blocked, 1130 host not allowed. */
  readonly errorCode: number | null
  /** null: not asked for, or not reached. */
  readonly tls: TlsFacts | null
}

const clientSsl = 0x0800
const clientProtocol41 = 0x0200
const clientSecureConnection = 0x8000
const clientPluginAuth = 0x0008_0000
const none = { version: '', errorCode: null, tls: null }

/** @param tls present: shake hands too, and judge the certificate. Never throws. */
export async function greetMysql(
  to: ResolvedAddress,
  port: number,
  tls?: { readonly ca?: string | undefined }
): Promise<MysqlGreeting> {
  let socket: Socket | undefined
  try {
    socket = await dial(to, port)
    const packet = await readUntil(socket, firstPacket, { most: 8192, ms: 3000 })
    const greeting = readGreeting(packet)
    if (greeting.problem !== null || tls === undefined) return { ...greeting, tls: null }
    return { ...greeting, tls: await secure(socket, greeting.offersTls, { host: to.host, ca: tls.ca }) }
  } catch (thrown) {
    if (thrown instanceof DialError) return { ...none, problem: thrown.problem }
    throw thrown
  } finally {
    socket?.destroy()
  }
}

async function secure(
  socket: Socket,
  offersTls: boolean,
  peer: { readonly host: string; readonly ca?: string | undefined }
): Promise<TlsFacts> {
  if (!offersTls) return { problem: 'no-tls', protocol: null, names: '', notAfter: null }
  socket.write(sslRequest())
  const { facts, secured } = await shakeHands(socket, peer)
  secured?.destroy()
  return facts
}

/** Payload of the first packet (3 bytes length, little endian; 1 byte sequence), or what stands there instead. */
function firstPacket(bytes: Buffer): Buffer | null {
  if (bytes.length < 5) return null
  const length = bytes.readUIntLE(0, 3)
  // A greeting has some 80 bytes; "HTTP" or "SSH-" read as a length are over 5 million.
  if (length > 4096 || bytes[3] !== 0) return Buffer.alloc(0)
  return bytes.length < 4 + length ? null : bytes.subarray(4, 4 + length)
}

function readGreeting(packet: Buffer): MysqlGreeting & { readonly offersTls: boolean } {
  const not = { ...none, problem: 'not-mysql', offersTls: false } as const
  if (packet[0] === 0xff && packet.length >= 3) {
    return { ...none, problem: 'refused-by-server', errorCode: packet.readUInt16LE(1), offersTls: false }
  }
  const end = packet.indexOf(0, 1)
  // Protocol 10 since MySQL 3.21: version text, 4 bytes connection id, 8 of salt, 1 filler, then the capabilities.
  if (packet[0] !== 10 || end < 2 || packet.length < end + 16) return not
  const version = packet.toString('latin1', 1, end)
  if (!/^[\x20-\x7e]{3,80}$/.test(version)) return not
  const capabilities = packet.readUInt16LE(end + 14)
  return {
    ...none,
    problem: null,
    // MariaDB 10 says 5.5.5- first, for replicas that knew no two digits.
    version: version.replace(/^5\.5\.5-(?=\d)/, ''),
    offersTls: (capabilities & clientSsl) !== 0
  }
}

/** Protocol::SSLRequest: 32 bytes of payload, packet 1. */
function sslRequest(): Buffer {
  const packet = Buffer.alloc(36)
  packet.writeUIntLE(32, 0, 3)
  packet[3] = 1
  packet.writeUInt32LE(clientSsl | clientProtocol41 | clientSecureConnection | clientPluginAuth, 4)
  packet.writeUInt32LE(1 << 24, 8)
  packet[12] = 45 // utf8mb4_general_ci
  return packet
}
