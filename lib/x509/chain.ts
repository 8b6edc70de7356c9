/**
 * Chains, for live checks: does this certificate lead to one that we trust, now, for this name and purpose? Plain RFC
 * 5280 6.1 without policies and revocation; a certificate with a critical extension that we do not know (name
 * constraints, policies) is not trusted.
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type CertificateFields, certificateFields, extensionIds, readPathLength } from './certificate-fields.ts'

export interface ChainQuestion {
  readonly certificate: X509Certificate
  /** CA certificates that may stand between, in any order; unneeded ones do no harm. */
  readonly between?: readonly X509Certificate[]
  /** What is trusted as it stands; usually roots. */
  readonly anchors: readonly X509Certificate[]
  /** Absent: now. */
  readonly at?: Date
  /**
   * A DNS name or IP address that the certificate must have as alternative name; the subject's CN never counts (RFC
   * 9525 6.3).
   */
  readonly name?: string
  readonly purpose?: 'server' | 'client'
}

export type ChainProblem = 'unreadable' | 'not-yet-valid' | 'expired' | 'wrong-name' | 'wrong-purpose' | 'untrusted'

/** `chain` is from the certificate to the anchor, both included. */
export type ChainVerdict =
  | { readonly trusted: true; readonly chain: readonly X509Certificate[] }
  | { readonly trusted: false; readonly problem: ChainProblem }

const maxDepth = 8
/** Signatures to verify at most: a peer could send look-alike CAs whose paths are countless (CVE-2018-16875). */
const maxLinks = 50
const purposes = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const
const understood: ReadonlySet<string> = new Set(Object.values(extensionIds))

/** Never throws: what cannot be read is not trusted. The certificate's own faults are named before the chain's. */
export function verifyChain(question: ChainQuestion): ChainVerdict {
  const { certificate, between = [], anchors, at = new Date(), name, purpose } = question
  if (fieldsOf(certificate) === null) return { trusted: false, problem: 'unreadable' }
  if (at < certificate.validFromDate) return { trusted: false, problem: 'not-yet-valid' }
  if (at > certificate.validToDate) return { trusted: false, problem: 'expired' }
  if (name !== undefined && !hasName(certificate, name)) return { trusted: false, problem: 'wrong-name' }
  // X509Certificate.keyUsage is the *extended* key usage; absent means any purpose.
  const allowed: readonly string[] | undefined = certificate.keyUsage
  if (purpose !== undefined && allowed !== undefined && !allowed.includes(purposes[purpose])) {
    return { trusted: false, problem: 'wrong-purpose' }
  }
  const chain = pathFrom([certificate], between, anchors, at, { links: maxLinks })
  return chain === null ? { trusted: false, problem: 'untrusted' } : { trusted: true, chain }
}

/** verifyChain for a leaf that an anchor signed directly, or that is one. */
export function chainsTo(leaf: X509Certificate, anchors: readonly X509Certificate[]): boolean {
  return verifyChain({ certificate: leaf, anchors }).trusted
}

function pathFrom(
  path: readonly X509Certificate[],
  between: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  at: Date,
  budget: { links: number }
): readonly X509Certificate[] | null {
  const last = path.at(-1)
  if (last === undefined || path.length > maxDepth) return null
  if (anchors.some((anchor) => anchor.raw.equals(last.raw))) return path
  const found = anchors.find((anchor) => issued(anchor, last, path.length - 1, at, budget))
  if (found !== undefined) return [...path, found]
  for (const next of between) {
    // A certificate stands in a path once, so cross-signed CAs cannot lead in a circle.
    if (path.some((one) => one.raw.equals(next.raw)) || !issued(next, last, path.length - 1, at, budget)) continue
    const longer = pathFrom([...path, next], between, anchors, at, budget)
    if (longer !== null) return longer
  }
  return null
}

/** @param below how many CA certificates stand under `issuer` in the path. */
function issued(
  issuer: X509Certificate,
  subject: X509Certificate,
  below: number,
  at: Date,
  budget: { links: number }
): boolean {
  const fields = fieldsOf(issuer)
  if (fields === null || fields.pathLength === false) return false
  if (fields.pathLength !== null && fields.pathLength < below) return false
  if (at < issuer.validFromDate || at > issuer.validToDate) return false
  // checkIssued compares names, key identifiers and keyCertSign; it does not look at the signature.
  if (!subject.checkIssued(issuer) || budget.links === 0) return false
  budget.links -= 1
  return subject.verify(issuer.publicKey)
}

function fieldsOf(certificate: X509Certificate): (CertificateFields & { pathLength: number | null | false }) | null {
  try {
    const fields = certificateFields(certificate)
    for (const [id, { critical }] of fields.extensions) if (critical && !understood.has(id)) return null
    return { ...fields, pathLength: readPathLength(fields.extensions.get(extensionIds.basicConstraints)) }
  } catch {
    return null
  }
}

function hasName(certificate: X509Certificate, name: string): boolean {
  return isIP(name) === 0
    ? certificate.checkHost(name, { subject: 'never' }) !== undefined
    : certificate.checkIP(name) !== undefined
}
