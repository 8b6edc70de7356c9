/** Signing around the token's part of it: what is handed to the token, and what may leave afterwards. */
import { hash, type KeyObject, verify } from 'node:crypto'
import { AgentRefusal } from './agent-problem.ts'
import type { KeyRef } from './keystore.ts'
import { ecdsaDer, hashFor, sha256DigestInfo } from './public-key.ts'

/** Of one message: a digest for EC, a DigestInfo for RSA. */
export function signInput({ algorithm }: KeyRef, data: Uint8Array): Buffer {
  const digest = hash(hashFor(algorithm), data, 'buffer')
  return algorithm.startsWith('RSA') ? sha256DigestInfo(digest) : digest
}

/**
 * The signature as X.509 has it, verified: a stale handle can name another key, and hardware fails, so nothing leaves that the
 * public key of this id does not verify (pkcs11.md section 0).
 * @param raw r||s for EC, the signature itself for RSA
 * @throws AgentRefusal fatal: nothing that this token says can be trusted any more
 */
export function verifiedSignature(ref: KeyRef, publicKey: KeyObject, data: Uint8Array, raw: Uint8Array): Uint8Array {
  const signature = ref.algorithm.startsWith('RSA') ? raw : ecdsaDer(raw)
  if (verify(hashFor(ref.algorithm), data, publicKey, signature)) return signature
  throw new AgentRefusal('key-store-unavailable', `The token answered a wrong signature for key ${ref.id}.`, '', true)
}
