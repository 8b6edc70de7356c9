/** A TCP proxy between a service and what it needs: cut, frozen, or stopped at one statement. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Ends all connections and refuses new ones. */
  readonly cut: () => void
  /** Accepts, and lets nothing through any more; what comes meanwhile is lost. */
  readonly freeze: () => void
  readonly restore: () => void
  /** Stops the next thing that a client sends and that matches; settles when it has it. */
  readonly hold: (pattern: RegExp) => Promise<{ readonly letGo: () => void }>
  /** Lets the next match through, and ends the client's connection when its answer comes. */
  readonly loseAnswer: (pattern: RegExp) => void
  readonly close: () => Promise<void>
}

interface Trap {
  readonly pattern: RegExp
  readonly sprung: (chunk: Buffer, client: Socket, server: Socket) => void
}

export async function startProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const clients = new Set<Socket>()
  const traps: Trap[] = []
  let mood: 'open' | 'cut' | 'frozen' = 'open'

  const listener = createServer((client) => {
    if (mood === 'cut') return client.destroy()
    const server = connect(target)
    clients.add(client)
    client.on('close', () => clients.delete(client))
    for (const [one, other] of [
      [client, server],
      [server, client]
    ] as const) {
      one.setNoDelay(true)
      one.on('error', () => {}).on('close', () => other.destroy())
    }
    server.on('data', (chunk) => {
      if (mood === 'open') client.write(chunk)
    })
    client.on('data', (chunk) => {
      if (mood !== 'open') return
      const text = chunk.toString('latin1')
      const trap = traps.findIndex(({ pattern }) => pattern.test(text))
      const [sprung] = trap < 0 ? [] : traps.splice(trap, 1)
      if (sprung === undefined) server.write(chunk)
      else sprung.sprung(chunk, client, server)
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  return {
    port,
    cut: () => {
      mood = 'cut'
      for (const client of clients) client.destroy()
    },
    freeze: () => {
      mood = 'frozen'
    },
    restore: () => {
      // What was frozen has lost bytes: nobody can go on with it.
      if (mood === 'frozen') for (const client of clients) client.destroy()
      mood = 'open'
    },
    hold: (pattern) =>
      new Promise((held) => {
        traps.push({ pattern, sprung: (chunk, _client, server) => held({ letGo: () => server.write(chunk) }) })
      }),
    loseAnswer: (pattern) => {
      const sprung: Trap['sprung'] = (chunk, client, server) => {
        server.removeAllListeners('data')
        server.once('data', () => client.destroy())
        server.write(chunk)
      }
      traps.push({ pattern, sprung })
    },
    close: async () => {
      for (const client of clients) client.destroy()
      listener.close()
      await once(listener, 'close')
    }
  }
}
