/**
 * One memcached server. The library (memcached 2.2.2, unmaintained) never calls back when a server accepts and stays
 * silent, and sometimes not when a port refuses: so each call has our deadline, and after a failure the client is replaced
 * and nothing is sent for a second. Its own recovery is switched off: that runs ping(8), for ever, a client each.
 */
import { createRequire } from 'node:module'
import type Memcached from 'memcached'
import { AppError, messageOf } from '../errors/app-error.ts'

/**
 * All calls throw AppError: deadline-exceeded; service-unavailable when the server refuses, fails or is being left alone;
 * invalid-input for a key or value that memcached does not take.
 */
export interface CacheNode {
  readonly version: () => Promise<string>
  readonly get: (key: string) => Promise<string | undefined>
  /** False: the server would not keep it. */
  readonly set: (key: string, value: string, seconds: number) => Promise<boolean>
  /** False: it was not there. */
  readonly delete: (key: string) => Promise<boolean>
  readonly close: () => void
}

const require = createRequire(import.meta.url)

type Answer<T> = (error: unknown, result: T) => void

const options: Memcached.options = {
  timeout: 500,
  retries: 0,
  // No failure is forgiven, and a server that failed is removed: the only two settings under which no timer is left.
  failures: 0,
  remove: true,
  poolSize: 4,
  maxKeySize: 250
}

/** Of the connection, not of what was sent over it (a key with a space, a value over 1 MiB). */
function isLost(error: unknown): boolean {
  if (!(error instanceof Error)) return true
  return 'code' in error || /time|connect|closed|available|stream/i.test(error.message)
}

export function openCacheNode(server: string, deadlineMs = 300, pauseMs = 1000): CacheNode {
  let client: Memcached | null = null
  let closedUntil = 0

  function fail(): void {
    client?.end()
    client = null
    closedUntil = performance.now() + pauseMs
  }

  function call<T>(send: (client: Memcached, answer: Answer<T>) => void): Promise<T> {
    if (performance.now() < closedUntil) {
      return Promise.reject(new AppError('service-unavailable', `${server} did not answer a moment ago.`))
    }
    client ??= openClient(server)
    const using = client
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        fail()
        reject(new AppError('deadline-exceeded', `${server} did not answer within ${deadlineMs} ms.`))
      }, deadlineMs)
      send(using, (error, result) => {
        clearTimeout(timer)
        // Without an error some failures come as an undefined result of the wrong kind; the callers look at it.
        if (!error) return resolve(result)
        if (!isLost(error))
          return reject(new AppError('invalid-input', messageOf(error).slice(0, 200), { cause: error }))
        if (using === client) fail()
        reject(new AppError('service-unavailable', `${server}: ${messageOf(error).slice(0, 200)}`, { cause: error }))
      })
    })
  }

  return {
    version: async () => {
      const answers = await call<unknown>((to, answer) => to.version(answer))
      const version = readVersion(answers)
      if (version === null) throw new AppError('service-unavailable', `${server} does not answer like memcached.`)
      return version
    },
    get: async (key) => {
      const value = await call<unknown>((to, answer) => to.get(key, answer))
      return typeof value === 'string' ? value : undefined
    },
    set: async (key, value, seconds) =>
      (await call<unknown>((to, answer) => to.set(key, value, seconds, answer))) === true,
    delete: async (key) => (await call<unknown>((to, answer) => to.del(key, answer))) === true,
    close: () => {
      client?.end()
      client = null
    }
  }
}

function openClient(server: string): Memcached {
  // Loaded at its first use: most commands have no cache to ask.
  const Client: typeof Memcached = require('memcached')
  const client = new Client(server, options)
  // Told by our own errors; without a listener "failure" and "issue" are only dropped, "error" would throw.
  client.on('failure', () => {})
  client.on('issue', () => {})
  return client
}

/** One row a server: {server, version, major, minor, bugfix}. */
function readVersion(answers: unknown): string | null {
  const row: unknown = Array.isArray(answers) ? answers[0] : answers
  if (typeof row !== 'object' || row === null || !('version' in row)) return null
  const version = String(row.version)
  return /^\d+\.\d+(\.\d+)?/.test(version) ? version : null
}
