/** A private memcached on 127.0.0.1. It keeps nothing, so it has no folder but its log's. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Child, startChild, whenReady } from './child.ts'
import { serviceUser } from './users.ts'

export interface MemcachedAddress {
  readonly host: '127.0.0.1'
  readonly port: number
  /** host:port, as step 4 wants it. */
  readonly server: string
}

export interface Memcached extends MemcachedAddress {
  readonly child: Child
}

/** @throws Error with the log's end when it does not answer within 10 s */
export async function startMemcached(options: { dir: string; port: number }): Promise<Memcached> {
  const { dir, port } = options
  const child = startChild({
    name: 'memcached',
    command: 'memcached',
    args: ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-m', '64', '-c', '256'],
    logFile: join(dir, 'memcached.log'),
    // It refuses to be root. Its own -u would change the uid after setpriv did, which clears the parent-death signal.
    user: serviceUser('memcache', '/') ?? serviceUser('nobody', '/')
  })
  await whenReady(child, () => answers(port), 10_000)
  return { host: '127.0.0.1', port, server: `127.0.0.1:${port}`, child }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1000 }, () => socket.write('version\r\n'))
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('data', (data) => settle(data.toString().startsWith('VERSION')))
    socket.once('error', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}
