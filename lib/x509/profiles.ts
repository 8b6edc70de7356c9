/**
 * The profiles: everything about a certificate that is not a name, a key or a date is decided here, never by a request.
 */

import { extensionIds } from './certificate-fields.ts'
import { namedBits, oid, sequence, tags, tlv } from './der.ts'

/** `wizard-tls` is the wizard's own self-made certificate, before there is any CA. */
export type Profile = 'service-ca' | 'tenant-ca' | 'ca-key-update' | 'service' | 'device' | 'wizard-tls'

export interface ProfileRules {
  readonly ca: boolean
  /** Who may sign: itself, a CA, or either. */
  readonly issued: 'by-itself' | 'by-ca' | 'either'
  /** Only a service may carry `urn:keyscaler:` names. */
  readonly serviceRole: boolean
  readonly needsAltName: boolean
  /** A CA's own name over another key of its own: old and new sign each other while one follows the other (RFC 4210 4.4). */
  readonly keyUpdate?: true
  /** Extensions that are the same in every certificate of the profile, in DER. */
  readonly fixed: readonly Buffer[]
}

const digitalSignature = 0
const keyCertSign = 5
const crlSign = 6
const serverAuth = oid('1.3.6.1.5.5.7.3.1')
const clientAuth = oid('1.3.6.1.5.5.7.3.2')
const asserted = tlv(tags.boolean, Buffer.of(0xff))

const extensionOids = new Map(Object.values(extensionIds).map((id) => [id, oid(id)]))

/** One Extension. DER leaves critical out when it is FALSE (X.690 11.5). */
export function extension(id: keyof typeof extensionIds, critical: boolean, value: Buffer): Buffer {
  const encodedId = extensionOids.get(extensionIds[id]) ?? oid(extensionIds[id])
  const octets = tlv(tags.octetString, value)
  return critical ? sequence(encodedId, asserted, octets) : sequence(encodedId, octets)
}

/** CAs: pathLenConstraint 0, so that what they sign can never be a CA itself. */
const caExtensions = [
  extension('basicConstraints', true, sequence(asserted, tlv(tags.integer, Buffer.of(0)))),
  extension('keyUsage', true, namedBits([keyCertSign, crlSign]))
]

/**
 * digitalSignature alone is what TLS 1.2 with (EC)DHE, TLS 1.3 and PKI Signature+ need; no basicConstraints: it is no
 * CA.
 */
function endEntity(...purposes: readonly Buffer[]): Buffer[] {
  return [
    extension('keyUsage', true, namedBits([digitalSignature])),
    extension('extendedKeyUsage', false, sequence(...purposes))
  ]
}

const caProfile: ProfileRules = {
  ca: true,
  issued: 'either',
  serviceRole: false,
  needsAltName: false,
  fixed: caExtensions
}

export const profiles: Readonly<Record<Profile, ProfileRules>> = {
  'service-ca': caProfile,
  'tenant-ca': caProfile,
  'ca-key-update': { ...caProfile, issued: 'by-ca', keyUpdate: true },
  service: {
    ca: false,
    issued: 'by-ca',
    serviceRole: true,
    needsAltName: true,
    fixed: endEntity(serverAuth, clientAuth)
  },
  device: { ca: false, issued: 'by-ca', serviceRole: false, needsAltName: false, fixed: endEntity(clientAuth) },
  'wizard-tls': {
    ca: false,
    issued: 'by-itself',
    serviceRole: false,
    needsAltName: true,
    fixed: endEntity(serverAuth)
  }
}
