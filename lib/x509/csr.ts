/**
 * Certificate requests (PKCS#10, RFC 2986) as strangers send them. A request proves possession of a key and asks for
 * names; what it gets is the profile's decision.
 */
import { type KeyObject, verify } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { decodeAltNames, type FoundAltNames, noAltNames } from './alt-names.ts'
import { type Extension, extensionIds, readExtensions, readPathLength } from './certificate-fields.ts'
import { tags } from './der.ts'
import { bitStringOctets, DerError, DerReader, dotted, openSequence, text } from './der-reader.ts'
import { decodeName, type Name } from './name.ts'
import { importPublicKey } from './weak-keys.ts'

export interface Csr {
  readonly subject: Name
  /** Not a weak key: parseCsr has refused those. */
  readonly publicKey: KeyObject
  /** null when the request has none; '' is refused. A secret of its sender (RFC 7030 3.5). */
  readonly challengePassword: string | null
  /** What the request asks for; nothing of it is granted by being here. */
  readonly requestedNames: FoundAltNames
  /** Whether the sender holds the private key: the request's own signature. False too when it does not fit the key. */
  verify(): boolean
}

/** RSA-4096, a long name and a hundred alternative names fit. */
const maxOctets = 16_384

const challengePasswordId = '1.2.840.113549.1.9.7'
const extensionRequestId = '1.2.840.113549.1.9.14'

/** No SHA-1 and no MD5: a signature that can be forged proves no possession. */
const signatureAlgorithms = new Map([
  ['1.2.840.10045.4.3.2', { keyType: 'ec', hash: 'sha256' }],
  ['1.2.840.10045.4.3.3', { keyType: 'ec', hash: 'sha384' }],
  ['1.2.840.10045.4.3.4', { keyType: 'ec', hash: 'sha512' }],
  ['1.2.840.113549.1.1.11', { keyType: 'rsa', hash: 'sha256' }],
  ['1.2.840.113549.1.1.12', { keyType: 'rsa', hash: 'sha384' }],
  ['1.2.840.113549.1.1.13', { keyType: 'rsa', hash: 'sha512' }]
])

/**
 * @param pemOrDer DER, PEM, or bare base64 with or without line breaks as EST sends it (RFC 8951 3.1).
 * @throws AppError invalid-input for anything malformed or oversized, a weak key, and a request to be a CA.
 */
export function parseCsr(pemOrDer: string | Buffer): Csr {
  try {
    return readRequest(toDer(pemOrDer))
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new AppError('invalid-input', `The certificate request is not valid: ${error.message}.`, { cause: error })
  }
}

function readRequest(der: Buffer): Csr {
  const request = openSequence(der)
  const signed = request.next(tags.sequence)
  const algorithm = request.enter(tags.sequence)
  const signatureId = dotted(algorithm.next(tags.oid))
  if (!algorithm.done && algorithm.next(tags.null).content.length > 0) throw new DerError('a NULL is not empty')
  algorithm.end()
  const signature = bitStringOctets(request.next(tags.bitString))
  request.end()

  const info = new DerReader(signed.content)
  if (!info.next(tags.integer).content.equals(Buffer.of(0))) throw new DerError('its version is not 0')
  const subject = decodeName(info.next(tags.sequence).raw)
  const spki = info.next(tags.sequence).raw
  // Mandatory in RFC 2986, left out by some devices when it would be empty.
  const attributes = info.optional(0xa0)
  info.end()

  const known = signatureAlgorithms.get(signatureId)
  if (known === undefined) {
    throw new AppError(
      'invalid-input',
      'The certificate request must be signed with RSA or ECDSA and SHA-256, SHA-384 or SHA-512.'
    )
  }
  const publicKey = importPublicKey(spki)
  return {
    subject,
    publicKey,
    ...readAttributes(attributes?.content ?? Buffer.alloc(0)),
    verify: () => publicKey.asymmetricKeyType === known.keyType && verify(known.hash, signed.raw, publicKey, signature)
  }
}

function readAttributes(content: Buffer): Pick<Csr, 'challengePassword' | 'requestedNames'> {
  const seen = new Map<string, DerReader>()
  for (const attribute of new DerReader(content).all((all) => all.enter(tags.sequence))) {
    const id = dotted(attribute.next(tags.oid))
    if (seen.has(id)) throw new DerError(`the attribute ${id} comes twice`)
    seen.set(id, attribute.enter(tags.set))
    attribute.end()
  }
  const password = seen.get(challengePasswordId)
  const challengePassword = password === undefined ? null : text(password.next())
  password?.end()
  if (challengePassword === '') throw new DerError('its challenge password is empty')

  const asked = seen.get(extensionRequestId)
  const extensions = asked === undefined ? new Map<string, Extension>() : readExtensions(asked)
  asked?.end()
  refuseCa(extensions)
  const names = extensions.get(extensionIds.subjectAltName)
  return { challengePassword, requestedNames: names === undefined ? noAltNames : decodeAltNames(names.value) }
}

/** The profile would override it, but whoever asks to be a CA should hear no, rather than get something else. */
function refuseCa(extensions: ReadonlyMap<string, Extension>): void {
  const usage = extensions.get(extensionIds.keyUsage)
  const bits = usage === undefined ? 0 : (new DerReader(usage.value).next(tags.bitString).content[1] ?? 0)
  if (readPathLength(extensions.get(extensionIds.basicConstraints)) !== false || (bits & 0b110) !== 0) {
    throw new AppError('invalid-input', 'The certificate request asks to be a certificate authority.')
  }
}

function toDer(input: string | Buffer): Buffer {
  const tooLong = new AppError('invalid-input', 'The certificate request is too long.')
  if (Buffer.byteLength(input) > maxOctets * 2) throw tooLong
  // DER begins with a SEQUENCE's 0x30, PEM with a hyphen and a request's base64 with "MI": a body may come as bytes
  // of any.
  const der = typeof input !== 'string' && input[0] === tags.sequence ? input : fromText(input.toString())
  if (der.length > maxOctets) throw tooLong
  return der
}

function fromText(armoured: string): Buffer {
  const pem = /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([\s\S]*?)-----END \1CERTIFICATE REQUEST-----\s*$/.exec(
    armoured
  )
  const base64 = (pem?.[2] ?? armoured).replace(/\s+/g, '')
  if (base64 === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) {
    throw new AppError('invalid-input', 'The certificate request is neither PEM, base64 nor DER.')
  }
  return Buffer.from(base64, 'base64')
}
