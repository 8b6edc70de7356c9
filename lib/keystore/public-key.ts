/** Public keys and signatures between the token's form and Node's. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { KeyAlgorithm } from './keystore.ts'

/** A public key as plain data (JWK), as the child sends it. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: 'P-256' | 'P-384'; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string }

export function publicKeyObject(jwk: PublicJwk): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' })
}

/**
 * @param point CKA_EC_POINT: DER OCTET STRING around the uncompressed point (PKCS#11 v2.40), from some tokens the bare point
 * @throws Error when it is neither
 */
export function ecJwk(algorithm: 'EC-P256' | 'EC-P384', point: Buffer): PublicJwk {
  const size = algorithm === 'EC-P256' ? 32 : 48
  const bare =
    point.length === 2 * size + 3 && point[0] === 0x04 && point[1] === 2 * size + 1 ? point.subarray(2) : point
  if (bare.length !== 2 * size + 1 || bare[0] !== 0x04) throw new Error('CKA_EC_POINT is no uncompressed point')
  const x = bare.subarray(1, 1 + size).toString('base64url')
  const y = bare.subarray(1 + size).toString('base64url')
  return { kty: 'EC', crv: algorithm === 'EC-P256' ? 'P-256' : 'P-384', x, y }
}

export function rsaJwk(modulus: Buffer, exponent: Buffer): PublicJwk {
  return { kty: 'RSA', n: unsigned(modulus).toString('base64url'), e: unsigned(exponent).toString('base64url') }
}

/** ECDSA r||s of a token to the DER that X.509 uses (RFC 3279 section 2.2.3). */
export function ecdsaDer(raw: Uint8Array): Buffer {
  const half = raw.length / 2
  // Up to P-384 every length is one byte; written in place, since this is done for each signature.
  const der = Buffer.allocUnsafe(raw.length + 8)
  const middle = putInteger(der, 2, raw, 0, half)
  const end = putInteger(der, middle, raw, half, raw.length)
  der[0] = 0x30
  der[1] = end - 2
  return der.subarray(0, end)
}

/** DigestInfo of SHA-256 in front of the digest, for CKM_RSA_PKCS (RFC 8017 section 9.2). */
export function sha256DigestInfo(digest: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), digest])
}

/** The hash that goes with a key: SHA-384 for P-384, else SHA-256. */
export function hashFor(algorithm: KeyAlgorithm): 'sha256' | 'sha384' {
  return algorithm === 'EC-P384' ? 'sha384' : 'sha256'
}

/** An INTEGER at `at`, of the unsigned number from `start` to `end`. @returns where it ends */
function putInteger(der: Buffer, at: number, bytes: Uint8Array, start: number, end: number): number {
  let first = start
  while (first < end - 1 && bytes[first] === 0) first++
  const padded = (bytes[first] ?? 0) >= 0x80 ? 1 : 0
  der[at] = 0x02
  der[at + 1] = end - first + padded
  if (padded === 1) der[at + 2] = 0
  let to = at + 2 + padded
  for (let from = first; from < end; from++) der[to++] = bytes[from] ?? 0
  return to
}

/** Without leading zeros, at least one byte. */
function unsigned(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  return Buffer.from(bytes.subarray(start))
}
