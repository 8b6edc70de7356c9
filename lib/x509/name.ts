/**
 * X.500 names: what an administrator types (`CN=Example Device CA, O=Example, C=GB`, RFC 4514) and what a request asks
 * for. One attribute per RDN; multi-valued RDNs are refused because no two products compare them alike.
 */
import { AppError } from '../errors/app-error.ts'
import { oid, sequence, tags, tlv } from './der.ts'
import { DerReader, dotted, text } from './der-reader.ts'

export interface NameAttribute {
  /** A short name of the table below, or dotted decimal for one we can read but do not issue. */
  readonly type: string
  readonly value: string
}

/** In the order of the DER: the most general (country) first. The text form is the other way round (RFC 4514 2.1). */
export type Name = readonly NameAttribute[]

/** Upper bounds are RFC 5280 Appendix A's; `only` is the string type that the attribute's syntax demands. */
interface AttributeSyntax {
  readonly oid: string
  readonly max: number
  readonly only?: 'printable' | 'ia5'
}
const attributes: Readonly<Record<string, AttributeSyntax>> = {
  CN: { oid: '2.5.4.3', max: 64 },
  SN: { oid: '2.5.4.4', max: 64 },
  serialNumber: { oid: '2.5.4.5', max: 64, only: 'printable' },
  C: { oid: '2.5.4.6', max: 2, only: 'printable' },
  L: { oid: '2.5.4.7', max: 128 },
  ST: { oid: '2.5.4.8', max: 128 },
  STREET: { oid: '2.5.4.9', max: 128 },
  O: { oid: '2.5.4.10', max: 64 },
  OU: { oid: '2.5.4.11', max: 64 },
  title: { oid: '2.5.4.12', max: 64 },
  GN: { oid: '2.5.4.42', max: 64 },
  UID: { oid: '0.9.2342.19200300.100.1.1', max: 256 },
  DC: { oid: '0.9.2342.19200300.100.1.25', max: 63, only: 'ia5' },
  emailAddress: { oid: '1.2.840.113549.1.9.1', max: 255, only: 'ia5' }
}
const typeByText = new Map(Object.keys(attributes).map((type) => [type.toLowerCase(), type]))
const typeByOid = new Map(Object.entries(attributes).map(([type, syntax]) => [syntax.oid, type]))
const oidByType = new Map(Object.entries(attributes).map(([type, syntax]) => [type, oid(syntax.oid)]))

const example = 'Write it like CN=Example Device CA, O=Example, C=GB.'
const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/

/**
 * Reads the text form. @param typed RFC 4514, spaces around commas allowed, also `O="A, B"`.
 * @throws AppError invalid-input with a message for the person who typed it.
 */
export function parseName(typed: string): Name {
  if (typed.length > 2000) throw new AppError('invalid-input', 'The name is too long.')
  // Encoding would turn half a character into U+FFFD without a word.
  if (!typed.isWellFormed()) throw new AppError('invalid-input', 'The name has half a character in it.')
  const name = splitName(typed).map((part) => {
    const equals = part.indexOf('=')
    const type = typeByText.get(part.slice(0, Math.max(equals, 0)).trim().toLowerCase())
    if (type === undefined) {
      throw new AppError('invalid-input', `The name has a part without a known type in front. ${example}`, {
        cure: `Known types: ${Object.keys(attributes).join(', ')}.`
      })
    }
    return checkAttribute({ type, value: unescapeValue(part.slice(equals + 1)) })
  })
  return name.reverse()
}

/** The text form, RFC 4514; parseName reads it back to the same name. The empty name is ''. */
export function formatName(name: Name): string {
  return [...name]
    .reverse()
    .map(({ type, value }) => `${type}=${value.replace(/["+,;<>\\]|^[ #]|(?<!^) $/g, '\\$&')}`)
    .join(', ')
}

/** @throws AppError invalid-input for a value that no certificate of ours may hold. */
export function encodeName(name: Name): Buffer {
  if (name.length > 16) throw new AppError('invalid-input', 'The name has too many parts.')
  return sequence(
    ...name.map((attribute) => {
      const { type, value } = checkAttribute(attribute)
      const type_ = oidByType.get(type)
      if (type_ === undefined) throw new AppError('invalid-input', `The name has a part of unknown type ${type}.`)
      const tag =
        attributes[type]?.only === 'ia5'
          ? tags.ia5String
          : printable.test(value)
            ? tags.printableString
            : tags.utf8String
      return tlv(tags.set, sequence(type_, tlv(tag, Buffer.from(value, 'utf8'))))
    })
  )
}

/**
 * @param encoded the DER of a Name, tag included. @throws DerError or AppError invalid-input (a value, a multi-valued
 * RDN)
 */
export function decodeName(encoded: Buffer): Name {
  const outer = new DerReader(encoded)
  const name = outer.enter(tags.sequence).all((rdns) => {
    const rdn = rdns.enter(tags.set)
    const attribute = rdn.enter(tags.sequence)
    const type = dotted(attribute.next(tags.oid))
    const value = text(attribute.next())
    attribute.end()
    if (!rdn.done) throw new AppError('invalid-input', 'The name has a part with more than one value.')
    return checkAttribute({ type: typeByOid.get(type) ?? type, value })
  })
  outer.end()
  return name
}

/** NUL, bidi controls and other invisibles make a name read as another one (CVE-2009-2408 and its kin). */
function checkAttribute({ type, value: asSent }: NameAttribute): NameAttribute {
  const value = asSent.normalize('NFC')
  const syntax = attributes[type]
  const refuse = (why: string): never => {
    throw new AppError('invalid-input', `The ${type} of the name ${why}.`)
  }
  if (value === '') refuse('is empty')
  if (!value.isWellFormed() || /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(value)) {
    refuse('has a control character or an invisible one')
  }
  if (value !== value.trim()) refuse('begins or ends with a space')
  if ([...value].length > (syntax?.max ?? 256)) refuse(`is longer than ${syntax?.max ?? 256} characters`)
  if (type === 'C' && !/^[A-Z]{2}$/.test(value)) refuse('is not a country code of two capital letters')
  if (syntax?.only === 'printable' && !printable.test(value))
    refuse("has a character other than A-Z a-z 0-9 '()+,-./:=?")
  if (syntax?.only === 'ia5' && !/^[\x20-\x7e]*$/.test(value)) refuse('has a character outside ASCII')
  return { type, value }
}

/** Parts between commas that are neither escaped nor quoted, as typed. */
function splitName(typed: string): string[] {
  const parts = typed.match(/(?:\\.|"(?:\\.|[^"\\])*"|[^,"\\])+/gsu) ?? []
  const trimmed = parts.map((part) => part.trimStart())
  if (parts.length === 0 || parts.join(',') !== typed || trimmed.includes('')) {
    throw new AppError('invalid-input', `The name is empty, or has an empty or unfinished part. ${example}`)
  }
  return trimmed
}

/** RFC 4514 2.4 and 3: \, and \C3\A9 pairs; a quoted value is RFC 2253's, still typed by many. */
function unescapeValue(escaped: string): string {
  const bare = escaped.trimStart().replace(/(?<!\\) +$/, '')
  const quoted = /^"(.*)"$/s.exec(bare)?.[1]
  if (quoted === undefined && /^#|(?:^|[^\\])(?:\\\\)*[+;<>"]/s.test(bare)) {
    throw new AppError('invalid-input', 'The name has one of + ; < > " or a leading # without a backslash before it.')
  }
  const octets: Buffer[] = []
  for (const [piece, hex, escapedCharacter] of (quoted ?? bare).matchAll(/\\([0-9a-fA-F]{2})|\\(.)|[^\\]+/gsu)) {
    octets.push(hex === undefined ? Buffer.from(escapedCharacter ?? piece, 'utf8') : Buffer.from(hex, 'hex'))
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(octets))
  } catch (cause) {
    throw new AppError('invalid-input', 'The name has a \\hex escape that is not UTF-8.', { cause })
  }
}
