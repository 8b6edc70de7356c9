/** Where a service listens for the host that was typed. */
import { isIP } from 'node:net'
import { resolveAddress } from '../checks/address.ts'

export interface HostPlace {
  readonly addresses: readonly string[]
  /** Every address is a loopback one: reachable from this machine only. */
  readonly loopback: boolean
  /** 127.0.0.1 or ::1 for a loopback name; otherwise every interface (behind NAT the name's address is not ours). */
  readonly listenHost: string
}

/**
 * Asks DNS and /etc/hosts, as the services' clients will. null: the name does not resolve.
 * @throws AppError deadline-exceeded when the name servers do not answer
 */
export async function placeOf(host: string): Promise<HostPlace | null> {
  const resolved = await resolveAddress(host)
  const first = resolved?.addresses[0]
  if (resolved === null || first === undefined) return null
  const { addresses, loopback } = resolved
  const anywhere = addresses.every((address) => isIP(address) === 6) ? '::' : '0.0.0.0'
  return { addresses, loopback, listenHost: loopback ? first : anywhere }
}
