import type { X509Certificate } from 'node:crypto'

/** SHA-256 of the certificate's DER, in upper-case hex with colons, as openssl prints it. */
export function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256
}
