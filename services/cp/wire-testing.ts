/** A wire to a server that a test can cut and mend: TCP, passed on byte by byte. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../sandbox/ports.ts'

export interface Wire {
  readonly port: number
  /** Everything on it breaks, and nothing new gets through. */
  readonly cut: () => Promise<void>
  readonly mend: () => Promise<void>
}

export async function openWire(to: { readonly host: string; readonly port: number }): Promise<Wire> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    return socket
  }
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      const far = keep(connect(to.port, to.host))
      keep(socket).pipe(far).pipe(socket)
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  const port = await freePort()
  let server = await listen(port)
  return {
    port,
    cut: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
    mend: async () => {
      server = await listen(port)
    }
  }
}
