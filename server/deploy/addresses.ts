/**
 * The address of a service as the administrator types it ("https://kms.serverfarm.com"), and what follows from it:
 * where the service listens, and the https address by which others reach it. Without a port every service takes its
 * own fixed one, so that one address can be typed for KMS, DAE, MQS and CP (guide: "the same address").
 */
import { isIP } from 'node:net'
import { catalog, type ServiceName } from '../../services/catalog.ts'

/** An address that has the right shape; nothing is resolved yet. */
export interface TypedAddress {
  readonly scheme: 'http' | 'https'
  /** Lower case, IPv6 without brackets. */
  readonly host: string
  /** null: none was typed. */
  readonly port: number | null
}

export interface ServiceAddress {
  readonly host: string
  readonly port: number
  /** https://host:port as others reach it; services never speak plain HTTP. */
  readonly address: string
}

/** What is wrong with the shape of a typed address, in plain words; null when nothing is. */
export function addressProblem(typed: string): string | null {
  const parsed = parse(typed)
  return typeof parsed === 'string' ? parsed : null
}

/** @param typed an address without a problem (the step's schema has seen it) */
export function typedAddress(typed: string): TypedAddress {
  const parsed = parse(typed)
  if (typeof parsed === 'string') throw new TypeError(parsed)
  return parsed
}

/** The typed port or the fixed one of the service, and the https address that this makes. */
export function serviceAddress(service: ServiceName, typed: string): ServiceAddress {
  const { host, port } = typedAddress(typed)
  const taken = port ?? catalog[service].port
  return { host, port: taken, address: `https://${bracketed(host)}:${taken}` }
}

function parse(typed: string): TypedAddress | string {
  const example = 'for example https://kms.serverfarm.com.'
  if (!/^https?:\/\//i.test(typed)) return `Enter the address including the protocol, ${example}`
  if (!URL.canParse(typed)) return `This is not an address; enter ${example}`
  const url = new URL(typed)
  if (url.username !== '' || url.password !== '') return 'The address must not hold a user name or password.'
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || /[?#]/.test(typed)) {
    return 'The address must not have a path or query: only the protocol, the host and, if need be, a port.'
  }
  // URL drops the scheme's own port; it was typed all the same, and the service shall listen there.
  const explicit = /:(\d+)\/?$/.exec(typed.replace(/\[[^\]]*\]/, ''))?.[1]
  const port = explicit === undefined ? null : Number(explicit)
  if (port === 0) return 'Port must be 1–65535.'
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  if (isIP(host) === 0 && !isHostName(host)) return 'The host must be a DNS name or an IP address.'
  if (host === '0.0.0.0' || host === '::') return 'Enter the address by which others reach the service.'
  return { scheme: url.protocol === 'https:' ? 'https' : 'http', host, port }
}

/** RFC 1123 labels; an underscore is no host name, and certificates refuse it. */
function isHostName(host: string): boolean {
  return host.length <= 253 && /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/.test(host)
}

/** As it stands in a URL: an IPv6 address in brackets. */
export function bracketed(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host
}
