/** How an issuing key signs. The key itself is in a token: all we hold is its public half and a callback. */
import { type KeyObject, verify } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { oid, sequence, tags, tlv } from './der.ts'

export type SigningAlgorithm = 'EC-P256' | 'EC-P384' | 'RSA-3072'

export interface Signer {
  readonly algorithm: SigningAlgorithm
  readonly publicKey: KeyObject
  /**
   * Hashes and signs; ECDSA answers DER (RFC 3279 2.2.3), RSA is RSASSA-PKCS1-v1_5. Its errors reach the caller as
   * they are.
   */
  readonly sign: (tbs: Uint8Array) => Promise<Uint8Array>
}

/** AlgorithmIdentifiers of RFC 5758 3.2 (no parameters) and RFC 4055 5 (NULL). */
const algorithms = {
  'EC-P256': { hash: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) },
  'EC-P384': { hash: 'sha384', identifier: sequence(oid('1.2.840.10045.4.3.3')) },
  'RSA-3072': { hash: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), tlv(tags.null)) }
} as const

/** The AlgorithmIdentifier's DER, the same in the TBSCertificate and beside the signature (RFC 5280 4.1.1.2). */
export function signatureIdentifier({ algorithm }: Signer): Buffer {
  return algorithms[algorithm].identifier
}

/**
 * Signs, and verifies before anything is released: a token that was swapped or errs must not put a bad certificate
 * into the world.
 * @throws AppError internal for a signature that does not verify; whatever `signer.sign` throws
 */
export async function signVerified(tbs: Buffer, signer: Signer): Promise<Uint8Array> {
  const signature = await signer.sign(tbs)
  if (!verify(algorithms[signer.algorithm].hash, tbs, signer.publicKey, signature)) {
    throw new AppError(
      'internal',
      'The signature of a new certificate does not verify; the certificate was thrown away.',
      {
        cure: 'Check that the CA key in the key store is the one that the CA certificate names.'
      }
    )
  }
  return signature
}
