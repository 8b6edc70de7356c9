/**
 * Stands in front of the database and knows where a statement begins: at the N-th packet that the administrator's
 * connections send it strikes before the server has seen it, or after the server has done it and before the answer is
 * back. Services connect through it too and are not counted.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface SqlStrike {
  /** The first packet is 1. */
  readonly n: number
  readonly side: 'before' | 'after'
  /** Both connections are gone when it settles or throws. */
  readonly strike: () => Promise<void> | void
}

export interface SqlProxy {
  readonly port: number
  /** From here on packets are counted anew. */
  readonly aim: (strike: SqlStrike | null) => void
  /** What was sent since: "login", "INSERT INTO"; never a value. */
  readonly packets: () => readonly string[]
  readonly close: () => Promise<void>
}

/** Protocol::HandshakeResponse41: capabilities 4, longest packet 4, character set 1, filler 23, then the user's name. */
const userAt = 4 + 32
const header = 4
/** These are never answered: COM_QUIT, COM_STMT_SEND_LONG_DATA, COM_STMT_CLOSE. */
const unanswered: ReadonlySet<number> = new Set([0x01, 0x18, 0x19])
const commands: Readonly<Record<number, string>> = { 1: 'quit', 14: 'ping', 23: 'execute', 25: 'close' }

/** @param user whose connections are counted */
export async function openSqlProxy(target: { host: string; port: number }, user: string): Promise<SqlProxy> {
  const sockets = new Set<Socket>()
  let packets: string[] = []
  let aimed: SqlStrike | null = null

  const server = createServer((client) => {
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {}) // A cut is what this is for.
      socket.on('close', () => sockets.delete(socket))
    }
    const cut = async (strike: SqlStrike) => {
      await strike.strike()
      client.resetAndDestroy()
      upstream.destroy()
    }
    let struck = false
    let awaited: SqlStrike | null = null
    let login = true
    let counted = false
    let pending = Buffer.alloc(0)
    const onPacket = (packet: Buffer) => {
      if (login) {
        const name = packet.subarray(userAt, packet.indexOf(0, userAt)).toString()
        counted = name === user
      }
      const label = login ? 'login' : labelOf(packet)
      login = false
      if (!counted || struck) return struck ? undefined : upstream.write(packet)
      packets.push(label)
      const strike = aimed !== null && aimed.n === packets.length ? aimed : null
      if (strike !== null) struck = true
      if (strike?.side === 'before') return void cut(strike)
      upstream.write(packet)
      if (strike === null) return
      if (unanswered.has(packet[header] ?? 0) && label !== 'login') return void cut(strike)
      awaited = strike
    }
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= header) {
        const whole = header + pending.readUIntLE(0, 3)
        if (pending.length < whole) return
        onPacket(pending.subarray(0, whole))
        pending = pending.subarray(whole)
      }
    })
    upstream.on('data', (chunk: Buffer) => {
      if (awaited !== null) {
        const strike = awaited
        awaited = null
        return void cut(strike)
      }
      if (!struck) client.write(chunk)
    })
    client.on('end', () => upstream.end())
    upstream.on('end', () => client.end())
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => struck || client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    aim: (strike) => {
      packets = []
      aimed = strike
    },
    packets: () => packets,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    }
  }
}

/** The words in capitals that a statement begins with: names and values are left out. */
function labelOf(packet: Buffer): string {
  const command = packet[header] ?? 0
  if (command !== 0x03 && command !== 0x16) return commands[command] ?? `command ${command}`
  const text = packet.subarray(header + 1, header + 200).toString('latin1')
  const words = /^[A-Z]+(?: [A-Z_]+){0,4}/.exec(text.trim())?.[0] ?? 'statement'
  return command === 0x16 ? `prepare ${words}` : words
}
