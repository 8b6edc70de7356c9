/** A PKCS#10 request (RFC 2986 4) for a service's own key: proves that we have it; names are asked for beside it. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { bitString, oid, sequence, tags, tlv } from '../../lib/x509/der.ts'
import { encodeName } from '../../lib/x509/name.ts'

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))

/** @param privateKey PEM of an EC P-256 key @returns PEM */
export function certificateRequest(privateKey: string, commonName: string): string {
  const key = createPrivateKey(privateKey)
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const info = sequence(
    tlv(tags.integer, Buffer.of(0)),
    encodeName([{ type: 'CN', value: commonName }]),
    spki,
    tlv(0xa0)
  )
  const der = sequence(info, ecdsaWithSha256, bitString(sign('sha256', info, key)))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`
}
