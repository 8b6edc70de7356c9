import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import type { CertificatePlace } from './client-configuration.ts'

export type CertificateProblem =
  | 'not-absolute'
  | 'missing'
  | 'unreadable'
  | 'not-a-certificate'
  | 'not-yet-valid'
  | 'expired'
  | 'not-issued-by' // the certificate that the configuration names as its issuer did not issue it
  | 'expires-soon'

/** Facts, no judgement. What is not known for a problem is null. */
export interface CertificateFact {
  readonly key: string
  readonly path: string
  /** The first one found, the gravest first. */
  readonly problem: CertificateProblem | null
  readonly subject: string | null
  readonly issuer: string | null
  /** The earliest end of the certificates in the file, ISO 8601. */
  readonly notAfter: string | null
  readonly sha256: string | null
}

const soonMs = 30 * 24 * 3600 * 1000
const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** Reads the certificates that a Chrystoki.conf names: form, dates, and issuer where it names that too. Never throws. */
export async function inspectCertificates(
  places: readonly CertificatePlace[],
  now: Date = new Date()
): Promise<readonly CertificateFact[]> {
  const files = await Promise.all(places.map(async (place) => ({ place, read: await readCertificates(place.path) })))
  const issuersOf = ({ issuedBy }: CertificatePlace): readonly X509Certificate[] | null => {
    const issuer = files.find(({ place }) => place.key === issuedBy)?.read
    return Array.isArray(issuer) ? issuer : null
  }
  return files.map(({ place, read }) => {
    const { key, path } = place
    if (!Array.isArray(read)) return { key, path, problem: read, ...nothing }
    const problem = read.map((one) => datesOf(one, now)).find((found) => found !== null) ?? null
    const issuers = issuersOf(place)
    const first = read[0]
    const strange = first !== undefined && issuers !== null && !issuers.some((issuer) => issued(issuer, first))
    const ends = read.map(({ validToDate }) => validToDate.getTime())
    return {
      key,
      path,
      problem: strange && (problem === null || problem === 'expires-soon') ? 'not-issued-by' : problem,
      subject: oneLine(first?.subject),
      issuer: oneLine(first?.issuer),
      notAfter: new Date(Math.min(...ends)).toISOString(),
      sha256: first?.fingerprint256 ?? null
    }
  })
}

const nothing = { subject: null, issuer: null, notAfter: null, sha256: null }

async function readCertificates(path: string): Promise<X509Certificate[] | CertificateProblem> {
  if (!isAbsolute(path)) return 'not-absolute'
  let text: string
  try {
    text = await readFile(path, 'latin1')
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'missing' : 'unreadable'
  }
  try {
    const found = (text.match(pem) ?? []).map((block) => new X509Certificate(block))
    return found.length === 0 ? 'not-a-certificate' : found
  } catch {
    return 'not-a-certificate'
  }
}

function datesOf({ validFromDate, validToDate }: X509Certificate, now: Date): CertificateProblem | null {
  if (now > validToDate) return 'expired'
  if (now < validFromDate) return 'not-yet-valid'
  return validToDate.getTime() - now.getTime() < soonMs ? 'expires-soon' : null
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function oneLine(name: string | undefined): string | null {
  return name === undefined ? null : name.replaceAll('\n', ', ')
}
