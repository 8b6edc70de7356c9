import type { X509Certificate } from 'node:crypto'

/** SHA-256 of the certificate's DER, in upper-case hex with colons, as openssl prints it. */
export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256
}

/** Of whatever people paste: with colons, blanks or neither, in either case, also as "SHA256:…"; null: it is no SHA-256. */
export function readFingerprint(typed: string): string | null {
  const hex = typed
    .trim()
    .replace(/^sha-?256(\s+fingerprint)?\s*[:=]?\s*/i, '')
    .replaceAll(/[:\s]/g, '')
  return /^[0-9a-f]{64}$/i.test(hex) ? (hex.toUpperCase().match(/../g) ?? []).join(':') : null
}
