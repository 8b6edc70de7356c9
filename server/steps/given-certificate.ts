/** A certificate that the administrator gave: is it good for the address, and will others trust it? */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { getCACertificates } from 'node:tls'
import { verifyChain } from '../../lib/x509/chain.ts'

export interface GivenCertificateFacts {
  readonly host: string
  readonly problem: CertificateProblem | null
  /** Names in it, for the message. */
  readonly names: string
  readonly notAfter: Date | null
  /** The root that it leads to. */
  readonly anchor: X509Certificate | null
}

type CertificateProblem = 'key-unreadable' | 'key-mismatch' | 'not-yet-valid' | 'expired' | 'wrong-name' | 'untrusted'

/**
 * @param key PEM; null when it was proved before
 * @param anchors what is trusted; the roots of this system and of Node by default
 */
export function judgeCertificate(
  pem: string,
  key: string | null,
  host: string,
  anchors: readonly X509Certificate[] = trustedRoots()
): GivenCertificateFacts {
  const [leaf, ...between] = certificatesIn(pem)
  const facts = { host, names: '', notAfter: null, anchor: null }
  if (leaf === undefined) return { ...facts, problem: 'untrusted' }
  const read = { ...facts, names: leaf.subjectAltName ?? leaf.subject, notAfter: leaf.validToDate }
  const owned = key === null || owns(key, leaf)
  if (owned !== true) return { ...read, problem: owned }
  const verdict = verifyChain({ certificate: leaf, between, anchors, name: host, purpose: 'server' })
  if (verdict.trusted) return { ...read, problem: null, anchor: verdict.chain.at(-1) ?? null }
  const { problem } = verdict
  const known = problem === 'not-yet-valid' || problem === 'expired' || problem === 'wrong-name'
  return { ...read, problem: known ? problem : 'untrusted' }
}

function owns(key: string, leaf: X509Certificate): true | CertificateProblem {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key)) || 'key-mismatch'
  } catch {
    return 'key-unreadable'
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)]
    } catch {
      return []
    }
  })
}

function trustedRoots(): X509Certificate[] {
  const roots = new Set([...getCACertificates('system'), ...getCACertificates('bundled')])
  return certificatesIn([...roots].join('\n'))
}
