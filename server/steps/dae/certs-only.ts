/** The certificates in a certs-only PKCS#7, as EST answers it (RFC 7030 4.1.3, RFC 5652 5.1). */
import { X509Certificate } from 'node:crypto'
import { AppError } from '../../../lib/errors/app-error.ts'
import { DerError, openSequence } from '../../../lib/x509/der-reader.ts'

const explicit0 = 0xa0
const sequence = 0x30

/** @throws AppError deploy-failed for anything else */
export function certificatesOf(der: Buffer): X509Certificate[] {
  try {
    const info = openSequence(der)
    info.next()
    const signed = info.enter(explicit0).enter(sequence)
    // Version, digest algorithms and content info; then the certificates.
    for (let field = 0; field < 3; field++) signed.next()
    const set = signed.enter(explicit0)
    const found: X509Certificate[] = []
    while (!set.done) found.push(new X509Certificate(set.next().raw))
    return found
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause
    throw new AppError('deploy-failed', 'The DAE answered something that is no PKCS#7 of certificates.', { cause })
  }
}
