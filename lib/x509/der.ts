/**
 * Writing DER (X.690 clause 10): just the types that a certificate and a certs-only PKCS#7 are made of. A library would
 * build an object tree first; a certificate is issued per device, and this is several times faster.
 */
import { AppError } from '../errors/app-error.ts'

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31
} as const

/** Tag, shortest length (X.690 10.1), content. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  const octets = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3
  const out = Buffer.allocUnsafe(2 + octets + length)
  out[0] = tag
  if (octets === 0) out[1] = length
  else {
    out[1] = 0x80 | octets
    out.writeUIntBE(length, 2, octets)
  }
  let offset = 2 + octets
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(tags.sequence, ...parts)
}

/** SET OF: the encodings in ascending order (X.690 11.6). */
export function setOf(tag: number, parts: readonly Buffer[]): Buffer {
  return tlv(tag, ...[...parts].sort(Buffer.compare))
}

/** A BIT STRING of whole octets. */
export function bitString(content: Uint8Array): Buffer {
  return tlv(tags.bitString, Buffer.of(0), content)
}

/** A named bit list of at most 8 bits: trailing zero bits are not written (X.690 11.2.2). Bit 0 is the leftmost. */
export function namedBits(bits: readonly number[]): Buffer {
  const octet = bits.reduce((all, bit) => all | (0x80 >> bit), 0)
  return tlv(tags.bitString, Buffer.of(7 - Math.max(...bits), octet))
}

/** From dotted decimal, e.g. '2.5.4.3'. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const octets: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const group = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) group.unshift((left % 128) | 0x80)
    octets.push(...group)
  }
  return tlv(tags.oid, Buffer.from(octets))
}

/** UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 4.1.2.5); to the second, fractions cut off. */
export function time(at: Date): Buffer {
  const year = at.getUTCFullYear()
  if (!(year >= 1950 && year <= 9999)) throw new AppError('invalid-input', 'A date must be between 1950 and 9999.')
  const digits = at.toISOString().replace(/[-:T]|\..*/g, '')
  return year < 2050
    ? tlv(tags.utcTime, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : tlv(tags.generalizedTime, Buffer.from(`${digits}Z`, 'latin1'))
}
