/** What a device may ask for: a certificate for its own key, under its own name. The profile decides everything else. */
import { AppError } from '../../lib/errors/app-error.ts'
import { type Csr, parseCsr } from '../../lib/x509/csr.ts'

/**
 * @param body base64 with or without line breaks, or PEM
 * @param tlsUnique what a challengePassword must equal when one is sent (RFC 7030 3.5); null where TLS has none
 * @throws AppError invalid-input for a malformed request, a weak key, no proof of possession, or another name
 */
export function acceptableRequest(body: string, deviceName: string, tlsUnique: string | null): Csr {
  const csr = parseCsr(body)
  if (!csr.verify()) throw new AppError('invalid-input', 'The certificate request is not signed by its own key.')
  const names = csr.subject.filter(({ type }) => type === 'CN').map(({ value }) => value)
  if (names.some((name) => name !== deviceName)) {
    throw new AppError('invalid-input', `The request asks for another name than ${deviceName}.`)
  }
  if (csr.challengePassword !== null && csr.challengePassword !== tlsUnique) {
    throw new AppError('invalid-input', 'The challengePassword does not match this TLS connection (RFC 7030 3.5).')
  }
  return csr
}
