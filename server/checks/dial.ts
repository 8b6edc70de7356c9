/**
 * Connecting to a stranger: with a deadline, to addresses that were resolved before, reading no more than was asked for.
 * A hostile peer gets nothing out of it: not our time (deadline), not our memory (bounded reads), no second connection
 * elsewhere (no redirects), and its words are shown to nobody.
 */
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import type { ResolvedAddress } from './address.ts'

/** How a connection failed. `silent`: nothing came in time; `closed`: the peer hung up. */
export type DialProblem = 'refused' | 'unreachable' | 'silent' | 'closed'

/** In words for a finding; `code` in domain.md's "Cannot reach {host}:{port} ({code})." */
export const dialCodes: Readonly<Record<DialProblem, string>> = {
  refused: 'connection refused',
  unreachable: 'no route to host',
  silent: 'no answer',
  closed: 'connection closed'
}

export class DialError extends Error {
  readonly problem: DialProblem

  constructor(problem: DialProblem) {
    super(dialCodes[problem])
    this.problem = problem
  }
}

/** Hands out the addresses that were resolved, whatever DNS says by now. */
function pinnedLookup({ addresses }: ResolvedAddress): LookupFunction {
  return (_name, options, callback) => {
    const entries = addresses.map((address) => ({ address, family: isIP(address) }))
    const [first] = entries
    if (options.all) callback(null, entries)
    else callback(null, first?.address ?? '', first?.family ?? 4)
  }
}

/** A socket that is not connected yet, for drivers that want to wait for it themselves. */
export function pinnedSocket(to: ResolvedAddress, port: number): Socket {
  return connect({ host: to.host, port, lookup: pinnedLookup(to), autoSelectFamily: true })
}

/** @throws DialError */
export function dial(to: ResolvedAddress, port: number, ms = 3000): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = pinnedSocket(to, port)
    const give = (problem: DialProblem) => {
      socket.destroy()
      reject(new DialError(problem))
    }
    const timer = setTimeout(() => give('silent'), ms)
    // Stays: a reset after we are done with the socket must not take the process down.
    socket.on('error', (error) => {
      clearTimeout(timer)
      give(problemOf(error))
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

/**
 * Reads until `parse` makes something of the bytes so far.
 * @param most more bytes than this are an answer in themselves: `parse` sees them, and null is `silent`
 * @throws DialError silent, closed
 */
export function readUntil<T>(
  socket: Socket,
  parse: (bytes: Buffer) => T | null,
  { most, ms }: { readonly most: number; readonly ms: number }
): Promise<T> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const finish = (end: () => void) => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('close', onClose)
      socket.pause()
      end()
    }
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      const parsed = parse(Buffer.concat(chunks))
      if (parsed !== null) finish(() => resolve(parsed))
      else if (length > most) finish(() => reject(new DialError('silent')))
    }
    const onClose = () => finish(() => reject(new DialError('closed')))
    const timer = setTimeout(() => finish(() => reject(new DialError('silent'))), ms)
    socket.on('data', onData)
    socket.once('close', onClose)
    socket.resume()
  })
}

function problemOf(error: Error): DialProblem {
  // With several addresses the error is an AggregateError whose code is that of the last attempt.
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') return 'refused'
  if (code === 'ETIMEDOUT') return 'silent'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closed'
  return 'unreachable'
}
