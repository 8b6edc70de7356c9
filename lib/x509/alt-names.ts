/** Subject alternative names (RFC 5280 4.2.1.6): the three kinds that we issue, checked on the way in and out. */
import { isIP, isIPv6 } from 'node:net'
import { AppError } from '../errors/app-error.ts'
import { sequence, tlv } from './der.ts'
import { DerError, openSequence } from './der-reader.ts'

export interface AltNames {
  /** Lower case, without a trailing dot. */
  readonly dnsNames: readonly string[]
  /** IPv4 dotted, IPv6 in RFC 5952 form. */
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
}

/**
 * What a certificate or a request holds. `others` counts the kinds that we neither issue nor read (mail, directory
 * ...).
 */
export interface FoundAltNames extends AltNames {
  readonly others: number
}

export const noAltNames: FoundAltNames = { dnsNames: [], ipAddresses: [], uris: [], others: 0 }

const context = { dns: 0x82, uri: 0x86, ip: 0x87 } as const

/** The value of the extension, or null when there is no name. @throws AppError invalid-input */
export function encodeAltNames(names: AltNames): Buffer | null {
  const all = [
    ...unique(names.dnsNames.map(dnsName)).map((name) => tlv(context.dns, Buffer.from(name, 'latin1'))),
    ...unique(names.ipAddresses.map(ipAddress)).map((address) => tlv(context.ip, addressOctets(address))),
    ...unique(names.uris.map(uriName)).map((uri) => tlv(context.uri, Buffer.from(uri, 'latin1')))
  ]
  if (all.length > 100) throw new AppError('invalid-input', 'A certificate takes at most 100 alternative names.')
  return all.length === 0 ? null : sequence(...all)
}

/** @param value what the extension's OCTET STRING holds. @throws DerError or AppError invalid-input */
export function decodeAltNames(value: Buffer): FoundAltNames {
  const dnsNames: string[] = []
  const ipAddresses: string[] = []
  const uris: string[] = []
  let others = 0
  const names = openSequence(value)
  if (names.done) throw new DerError('the list of alternative names is empty')
  while (!names.done) {
    const { tag, content } = names.next()
    if (tag === context.dns) dnsNames.push(dnsName(content.toString('latin1')))
    else if (tag === context.uri) uris.push(uriName(content.toString('latin1')))
    else if (tag === context.ip) ipAddresses.push(addressText(content))
    else others += 1
  }
  return { dnsNames, ipAddresses, uris, others }
}

/** RFC 1034 preferred syntax as RFC 5280 demands; no wildcard: every service and device has its own name. */
function dnsName(asGiven: string): string {
  const name = asGiven.toLowerCase().replace(/\.$/, '')
  const labels = name.split('.')
  const wellFormed = name.length <= 253 && labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
  // An all-digit last label is an IP address, or something that a resolver may take for one.
  if (!wellFormed || /^\d+$/.test(labels.at(-1) ?? '')) {
    throw new AppError(
      'invalid-input',
      'A DNS name may have only letters, digits and hyphens between dots, and no wildcard.'
    )
  }
  return name
}

function uriName(uri: string): string {
  if (uri.length > 255 || !/^[\x21-\x7e]+$/.test(uri) || /["<>\\^`{|}]/.test(uri) || !URL.canParse(uri)) {
    throw new AppError('invalid-input', 'A URI name is not an absolute URI.')
  }
  return uri
}

/** The one spelling of an address: ::1 and 0:0::1 are the same name. */
function ipAddress(asGiven: string): string {
  if (isIP(asGiven) === 0 || asGiven.includes('%')) {
    throw new AppError('invalid-input', 'An IP address name is not an IPv4 or IPv6 address.')
  }
  return isIPv6(asGiven) ? new URL(`http://[${asGiven}]`).hostname.slice(1, -1) : asGiven
}

/** @param address in the one spelling, where `::` stands once at most and no dotted quad is left. */
function addressOctets(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const gap: string[] = Array(8 - left.length - right.length).fill('0')
  return Buffer.from([...left, ...gap, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function addressText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.')
  if (octets.length !== 16) throw new DerError('an IP address has neither 4 nor 16 octets')
  return ipAddress((octets.toString('hex').match(/.{4}/g) ?? []).join(':'))
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
