/**
 * Issuing: request and profile become a TBSCertificate (RFC 5280 4.1), the token signs it, and it leaves verified.
 * The only thing that a CA key ever signs is what is built here.
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { encodeAltNames } from './alt-names.ts'
import { certificateFields, extensionIds, readPathLength } from './certificate-fields.ts'
import { bitString, sequence, tags, time, tlv } from './der.ts'
import { bitStringOctets, DerReader, openSequence } from './der-reader.ts'
import { encodeName, type Name } from './name.ts'
import { extension, type Profile, type ProfileRules, profiles } from './profiles.ts'
import { looksLikeServiceRole } from './service-role.ts'
import { type Signer, signatureIdentifier, signVerified } from './signing.ts'
import { acceptedSpki, importPublicKey } from './weak-keys.ts'

export interface CertificateRequest {
  readonly profile: Profile
  /** May be empty for a device that has alternative names, which are then critical. */
  readonly subject: Name
  /** A KeyObject, or the DER of a SubjectPublicKeyInfo. */
  readonly publicKey: KeyObject | Buffer
  /** Content octets, 8 to 20, the first from 0x01 to 0x7f: newSerial(). */
  readonly serial: Buffer
  readonly notBefore: Date
  /** Inclusive: the last second of the certificate's life. */
  readonly notAfter: Date
  /**
   * Absent: self-signed, and then the signer's key is the subject's. Pass the same object each time: what is read
   * from it is kept.
   */
  readonly issuer?: { readonly certificate: X509Certificate } | undefined
  readonly dnsNames?: readonly string[] | undefined
  readonly ipAddresses?: readonly string[] | undefined
  readonly uris?: readonly string[] | undefined
}

/** What is copied from the issuing CA into everything that it signs. */
interface Issuer {
  readonly name: Buffer
  readonly keyId: Buffer
  readonly publicKey: KeyObject | null
  readonly notBefore: Date
  readonly notAfter: Date
  /** null: CAs below it are allowed without limit. */
  readonly pathLength: number | null
}

const version3 = tlv(0xa0, tlv(tags.integer, Buffer.of(2)))
const issuers = new WeakMap<X509Certificate, Issuer>()

/**
 * @returns the certificate, its signature verified with the signer's public key.
 * @throws AppError invalid-input for what the request may not have; internal when signer and issuer do not belong
 * together or the signature does not verify; whatever the signer throws.
 */
export async function issueCertificate(request: CertificateRequest, signer: Signer): Promise<X509Certificate> {
  const rules = profiles[request.profile]
  const identifier = signatureIdentifier(signer)
  const tbs = buildTbs(request, rules, signer, identifier)
  const signature = await signVerified(tbs, signer)
  return new X509Certificate(sequence(tbs, identifier, bitString(signature)))
}

function buildTbs(request: CertificateRequest, rules: ProfileRules, signer: Signer, identifier: Buffer): Buffer {
  const publicKey = Buffer.isBuffer(request.publicKey) ? importPublicKey(request.publicKey) : request.publicKey
  const spki = acceptedSpki(publicKey)
  const subject = encodeName(request.subject)
  const keyId = keyIdentifier(spki)
  const issuer = request.issuer === undefined ? itself(request, subject, keyId) : readIssuer(request.issuer.certificate)

  refuseWrongIssuer(request, rules, issuer)
  if (!acceptedSpki(signer.publicKey).equals(acceptedSpki(issuer.publicKey ?? publicKey))) {
    throw new AppError('internal', 'The signing key is not the one that the issuing certificate names.')
  }
  if (request.issuer !== undefined) {
    const [sameKey, sameName] = [spki.equals(acceptedSpki(signer.publicKey)), subject.equals(issuer.name)]
    if (sameKey || sameName !== (rules.keyUpdate ?? false)) {
      const words = rules.keyUpdate
        ? "A CA's key update has its name and another key."
        : "The request has the issuing CA's own key or name."
      throw new AppError('invalid-input', words)
    }
  }
  if (!(request.notBefore <= request.notAfter)) {
    throw new AppError('invalid-input', 'The certificate would end before it begins.')
  }

  return sequence(
    version3,
    encodeSerial(request.serial),
    identifier,
    issuer.name,
    sequence(time(request.notBefore), time(request.notAfter)),
    subject,
    spki,
    tlv(0xa3, sequence(...rules.fixed, ...ownExtensions(request, rules, keyId, issuer)))
  )
}

function ownExtensions(request: CertificateRequest, rules: ProfileRules, keyId: Buffer, issuer: Issuer): Buffer[] {
  const { dnsNames = [], ipAddresses = [], uris = [] } = request
  if (!rules.serviceRole && uris.some(looksLikeServiceRole)) {
    throw new AppError('invalid-input', 'Only a service certificate may name a service.')
  }
  const altNames = encodeAltNames({ dnsNames, ipAddresses, uris })
  if (altNames === null && (rules.needsAltName || request.subject.length === 0)) {
    throw new AppError('invalid-input', 'The certificate needs an alternative name.')
  }
  if (rules.ca && request.subject.length === 0) throw new AppError('invalid-input', 'A CA needs a name.')
  return [
    extension('subjectKeyIdentifier', false, tlv(tags.octetString, keyId)),
    extension('authorityKeyIdentifier', false, sequence(tlv(0x80, issuer.keyId))),
    // RFC 5280 4.2.1.6: critical when it is all the name there is.
    ...(altNames === null ? [] : [extension('subjectAltName', request.subject.length === 0, altNames)])
  ]
}

function refuseWrongIssuer(request: CertificateRequest, rules: ProfileRules, issuer: Issuer): void {
  const selfSigned = request.issuer === undefined
  if (rules.issued === (selfSigned ? 'by-ca' : 'by-itself')) {
    throw new AppError(
      'internal',
      `A ${request.profile} certificate is ${selfSigned ? 'not' : 'only'} signed by itself.`
    )
  }
  // RFC 5280 6.1.4 (l): a self-issued certificate, as a key update is, does not count for the length of the path.
  if (rules.ca && issuer.pathLength === 0 && !selfSigned && !rules.keyUpdate) {
    throw new AppError('invalid-input', 'The issuing CA may not sign another CA (path length 0).')
  }
  // Compared as written: to the second.
  if (seconds(request.notBefore) < seconds(issuer.notBefore) || seconds(request.notAfter) > seconds(issuer.notAfter)) {
    throw new AppError('invalid-input', "The certificate's life is not inside that of the CA that issues it.", {
      cure: `The CA is valid from ${issuer.notBefore.toISOString()} to ${issuer.notAfter.toISOString()}.`
    })
  }
}

function itself(request: CertificateRequest, name: Buffer, keyId: Buffer): Issuer {
  const { notBefore, notAfter } = request
  return { name, keyId, publicKey: null, notBefore, notAfter, pathLength: null }
}

function readIssuer(certificate: X509Certificate): Issuer {
  const known = issuers.get(certificate)
  if (known !== undefined) return known
  const { subject, extensions } = certificateFields(certificate)
  const keyId = extensions.get(extensionIds.subjectKeyIdentifier)?.value
  const pathLength = readPathLength(extensions.get(extensionIds.basicConstraints))
  if (pathLength === false || keyId === undefined) {
    throw new AppError('invalid-input', 'The issuing certificate is not that of a CA with a key identifier.')
  }
  const issuer: Issuer = {
    name: subject,
    // An OCTET STRING in an OCTET STRING; its tag changes, its content does not (RFC 5280 4.2.1.1).
    keyId: new DerReader(keyId).next(tags.octetString).content,
    publicKey: certificate.publicKey,
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    pathLength
  }
  issuers.set(certificate, issuer)
  return issuer
}

/**
 * RFC 7093 2 (1): the leftmost 160 bits of the SHA-256 of the key's BIT STRING; SHA-1 is on its way out of FIPS
 * modules.
 */
function keyIdentifier(spki: Buffer): Buffer {
  const info = openSequence(spki)
  info.next(tags.sequence)
  const key = bitStringOctets(info.next(tags.bitString))
  return createHash('sha256').update(key).digest().subarray(0, 20)
}

function encodeSerial(serial: Buffer): Buffer {
  const [first = 0] = serial
  if (serial.length < 8 || serial.length > 20 || first === 0 || first > 0x7f) {
    throw new AppError('internal', 'A serial number has 8 to 20 octets and is positive.')
  }
  return tlv(tags.integer, serial)
}

function seconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}
