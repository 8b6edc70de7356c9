import type { X509Certificate } from 'node:crypto'
import { oid, sequence, setOf, tags, tlv } from './der.ts'

const version1 = tlv(tags.integer, Buffer.of(1))
const emptySet = tlv(tags.set)
const noContent = sequence(oid('1.2.840.113549.1.7.1')) // id-data
const signedData = oid('1.2.840.113549.1.7.2')

/**
 * A certs-only PKCS#7 (RFC 5652 5.1 without content or signers; RFC 5272 4.1 "Simple PKI Response"): EST's answer to
 * /cacerts and to an enrolment. DER, before base64. The set has DER's order, not the caller's.
 */
export function certsOnly(certificates: readonly X509Certificate[]): Buffer {
  const set = setOf(
    0xa0,
    certificates.map(({ raw }) => raw)
  )
  return sequence(signedData, tlv(0xa0, sequence(version1, emptySet, noContent, set, emptySet)))
}
