/** For tests: peers with bad days. Each listens on 127.0.0.1 and is gone with the test file. */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { after } from 'node:test'
import type { Check, CheckSurroundings, Finding } from './check.ts'

export interface Peer {
  readonly port: number
  /** host:port */
  readonly server: string
  /** What peers have sent to it so far. */
  readonly heard: () => Buffer
}

async function listening(server: Server, heard: Buffer[] = []): Promise<Peer> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, server: `127.0.0.1:${port}`, heard: () => Buffer.concat(heard) }
}

/** Accepts, hears everything, and does what it is told with each connection. */
export function peer(greet: (socket: Socket) => void): Promise<Peer> {
  const heard: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('data', (chunk) => heard.push(chunk))
    greet(socket)
  })
  return listening(server, heard)
}

export const silentPeer = () => peer(() => {})
/** Answers each connection with a reset. */
export const resetPeer = () => peer((socket) => socket.resetAndDestroy())
export const sshPeer = () => peer((socket) => socket.write('SSH-2.0-OpenSSH_9.2p1\r\n'))
/** One byte a while, for ever. */
export const drippingPeer = () =>
  peer((socket) => {
    const drip = setInterval(() => socket.write('\0'), 100)
    socket.once('close', () => clearInterval(drip))
  })
/** As fast as it can, for ever. */
export const floodingPeer = (chunk = Buffer.alloc(65_536, 0x20)) =>
  peer((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', more)
    more()
  })

export function httpPeer(): Promise<Peer> {
  return listening(createHttpServer((_request, response) => response.end('hello')))
}

/** A port that nobody listens on. */
export async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

export const surroundings: CheckSurroundings = {
  stateDir: '/nonexistent',
  install: 'this-install',
  earlier: {},
  progress: () => {},
  services: {}
}

/** Findings by the last part of their id, in order. */
export async function verdicts<Answers>(
  check: Check<Answers>,
  answers: Answers,
  around: CheckSurroundings = surroundings
): Promise<{ readonly findings: readonly Finding[]; readonly byId: Readonly<Record<string, string>> }> {
  const findings = await check.run(answers, around, {})
  return { findings, byId: Object.fromEntries(findings.map(({ id, verdict }) => [id.replace(/^\w+\./, ''), verdict])) }
}

/** The first finding that is not a pass. */
export function firstTrouble(findings: readonly Finding[]): Finding | undefined {
  return findings.find(({ verdict }) => verdict !== 'pass')
}
