/** TLS with a stranger: who is it, and do we believe it? Facts first, judged afterwards, nothing secret sent. */
import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls'

export type TlsProblem = 'no-tls' | 'untrusted' | 'wrong-name' | 'expired' | 'not-yet-valid' | 'silent' | 'failed'

export interface TlsFacts {
  readonly problem: TlsProblem | null
  readonly protocol: string | null
  /** Alternative names in the certificate, shortened. */
  readonly names: string
  /** As in the certificate: "Nov 23 12:00:00 2027 GMT". */
  readonly notAfter: string | null
}

export interface TlsPeer {
  /** The name or address that the certificate must have. */
  readonly host: string
  /** PEM; absent: the system's roots. */
  readonly ca?: string | undefined
}

/**
 * Shakes hands over a connected socket.
 * @returns the facts, and the secured socket when there is no problem (the caller ends it); never throws
 */
export function shakeHands(
  socket: Socket,
  { host, ca }: TlsPeer,
  ms = 3000
): Promise<{ facts: TlsFacts; secured: TLSSocket | null }> {
  return new Promise((resolve) => {
    let settled = false
    const secured = connect({
      socket,
      // No address in SNI (RFC 6066 3).
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(ca === undefined ? {} : { ca: [ca] }),
      minVersion: 'TLSv1.2',
      // Judged below, so that names and dates can be told; nothing is sent before.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined
    })
    const settle = (problem: TlsProblem | null) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      const certificate = secured.getPeerCertificate()
      const facts: TlsFacts = {
        problem,
        protocol: secured.getProtocol(),
        names: String(certificate?.subjectaltname ?? '').slice(0, 200),
        notAfter: certificate?.valid_to ?? null
      }
      if (problem !== null) secured.destroy()
      resolve({ facts, secured: problem === null ? secured : null })
    }
    const timer = setTimeout(() => settle('silent'), ms)
    secured.on('error', (error) => settle(isNotTls(error) ? 'no-tls' : 'failed'))
    secured.once('close', () => settle('failed'))
    secured.once('secureConnect', () => settle(judge(secured, host)))
  })
}

function judge(secured: TLSSocket, host: string): TlsProblem | null {
  const certificate: PeerCertificate = secured.getPeerCertificate()
  if (!secured.authorized) {
    const code = String(secured.authorizationError ?? '')
    if (code.includes('EXPIRED')) return 'expired'
    if (code.includes('NOT_YET_VALID')) return 'not-yet-valid'
    return 'untrusted'
  }
  // For an address this looks at the certificate's IP names only.
  return checkServerIdentity(host, certificate) === undefined ? null : 'wrong-name'
}

function isNotTls(error: Error): boolean {
  const code = 'code' in error ? String(error.code) : ''
  return code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG'
}

/** In words for a finding. */
export function tlsSays({ problem, names, notAfter }: TlsFacts, host: string): string {
  switch (problem) {
    case null:
      return `The certificate is good for ${host}${notAfter === null ? '' : ` until ${notAfter}`}.`
    case 'no-tls':
      return `${host} does not offer TLS there.`
    case 'untrusted':
      return 'Server certificate is not trusted.'
    case 'wrong-name':
      return `The server's certificate is not for ${host} but for ${names || 'no name at all'}.`
    case 'expired':
      return `The server's certificate expired on ${notAfter}.`
    case 'not-yet-valid':
      return "The server's certificate is not valid yet."
    case 'silent':
      return 'The server did not finish the TLS handshake.'
    case 'failed':
      return 'The TLS handshake failed.'
  }
}

export function tlsCure(problem: TlsProblem | null): string {
  switch (problem) {
    case 'untrusted':
      return 'Paste the CA certificate that the server certificate leads to.'
    case 'wrong-name':
      return 'Enter the host name that the certificate names, or give the server a certificate for this one.'
    case 'expired':
      return "Renew the server's certificate."
    case 'not-yet-valid':
      return "Compare this machine's clock with the server's."
    default:
      return 'Turn TLS (1.2 or 1.3) on at the server, and check the port.'
  }
}
