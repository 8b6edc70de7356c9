/** What node:crypto's X509Certificate does not tell: names and extensions as their DER stands in the certificate. */
import type { X509Certificate } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { decodeAltNames, type FoundAltNames, noAltNames } from './alt-names.ts'
import { tags } from './der.ts'
import { boolean, DerError, DerReader, dotted, openSequence } from './der-reader.ts'
import { decodeName, type Name } from './name.ts'

export const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37'
} as const

export interface Extension {
  readonly critical: boolean
  /** What is inside the OCTET STRING. */
  readonly value: Buffer
}

export interface CertificateFields {
  /** DER of the Name, to be copied byte for byte into what this certificate issues (RFC 5280 7.1). */
  readonly subject: Buffer
  readonly extensions: ReadonlyMap<string, Extension>
}

const read = new WeakMap<X509Certificate, CertificateFields>()

/**
 * Read once per certificate object. @throws AppError invalid-input when it is not strict DER or repeats an extension.
 */
export function certificateFields(certificate: X509Certificate): CertificateFields {
  const known = read.get(certificate)
  if (known !== undefined) return known
  try {
    const fields = readFields(certificate.raw)
    read.set(certificate, fields)
    return fields
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new AppError('invalid-input', `The certificate is not valid DER: ${error.message}.`, { cause: error })
  }
}

/**
 * Subject and alternative names of a certificate, to compare a renewal with (RFC 7030 4.2.2). @throws AppError
 * invalid-input
 */
export function namesOf(certificate: X509Certificate): FoundAltNames & { readonly subject: Name } {
  const { subject, extensions } = certificateFields(certificate)
  const altNames = extensions.get(extensionIds.subjectAltName)
  try {
    return { subject: decodeName(subject), ...(altNames === undefined ? noAltNames : decodeAltNames(altNames.value)) }
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new AppError('invalid-input', `The names of the certificate are not valid: ${error.message}.`, {
      cause: error
    })
  }
}

/**
 * Extensions by dotted id. @param list the SEQUENCE OF Extension itself. @throws DerError also for one that comes
 * twice (RFC 5280 4.2)
 */
export function readExtensions(list: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>()
  for (const extension of list.enter(tags.sequence).all((all) => all.enter(tags.sequence))) {
    const id = dotted(extension.next(tags.oid))
    const critical = extension.optional(tags.boolean)
    const value = extension.next(tags.octetString).content
    extension.end()
    if (extensions.has(id)) throw new DerError(`the extension ${id} comes twice`)
    extensions.set(id, { critical: critical !== null && boolean(critical), value })
  }
  return extensions
}

/** @returns null without a limit, false when the certificate is no CA. @throws DerError */
export function readPathLength(basicConstraints: Extension | undefined): number | null | false {
  if (basicConstraints === undefined) return false
  const constraints = openSequence(basicConstraints.value)
  const ca = constraints.optional(tags.boolean)
  if (ca === null || !boolean(ca)) return false
  const limit = constraints.optional(tags.integer)
  constraints.end()
  return limit === null ? null : limit.content.reduce((number, octet) => number * 256 + octet, 0)
}

function readFields(raw: Buffer): CertificateFields {
  const tbs = openSequence(raw).enter(tags.sequence)
  tbs.optional(0xa0) // version
  tbs.next(tags.integer) // serialNumber
  tbs.next(tags.sequence) // signature
  tbs.next(tags.sequence) // issuer
  tbs.next(tags.sequence) // validity
  const subject = tbs.next(tags.sequence).raw
  tbs.next(tags.sequence) // subjectPublicKeyInfo
  tbs.optional(0x81) // issuerUniqueID
  tbs.optional(0x82) // subjectUniqueID
  const wrapped = tbs.optional(0xa3)
  tbs.end()
  if (wrapped === null) return { subject, extensions: new Map() }
  const list = new DerReader(wrapped.content)
  const extensions = readExtensions(list)
  list.end()
  return { subject, extensions }
}
