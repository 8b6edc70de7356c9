/** Names to addresses, once: what was resolved is what is connected to (the answer cannot change between check and use). */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { AppError } from '../../lib/errors/app-error.ts'

export interface ResolvedAddress {
  /** As typed. */
  readonly host: string
  /** At least one. */
  readonly addresses: readonly string[]
  /** Every address is this machine's own loopback: what is sent does not leave it. */
  readonly loopback: boolean
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** The system's resolver has no deadline of its own, and waits long for a name server that is gone. */
const patienceMs = 3000

/**
 * By DNS and /etc/hosts, as every other program on this machine sees it.
 * @returns null when the name does not resolve
 * @throws AppError deadline-exceeded when the name servers do not answer within 3 s
 */
export async function resolveAddress(host: string): Promise<ResolvedAddress | null> {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  const addresses = isIP(bare) === 0 ? await addressesOf(bare) : [bare]
  if (addresses.length === 0) return null
  return { host: bare, addresses, loopback: addresses.every(isLoopback) }
}

function isLoopback(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

async function addressesOf(name: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new AppError('deadline-exceeded', `The name servers did not answer for ${name} within 3 s.`)
    timer = setTimeout(() => reject(error), patienceMs)
  })
  const found = lookup(name, { all: true }).then(
    (entries) => entries.map(({ address }) => address),
    (): string[] => []
  )
  try {
    return await Promise.race([found, late])
  } finally {
    clearTimeout(timer)
  }
}
