/** What the KMS's signature of a message is over (services/kms/signing.ts makes it): whoever verifies needs the same bytes. */

/** No certificate begins so: a TBSCertificate is a SEQUENCE, 0x30. */
const signedPrefix = Buffer.from('KeyScaler signed message, version 1\0')

/** To be hashed with SHA-256. */
export function signedBytes(message: Uint8Array): Buffer {
  return Buffer.concat([signedPrefix, message])
}
