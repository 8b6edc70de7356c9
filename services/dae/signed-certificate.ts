/** A certificate by the KMS, held against what was asked for before anybody gets it. */
import { X509Certificate } from 'node:crypto'
import { AppError } from '../../lib/errors/app-error.ts'
import type { DeviceCertificateRequest, KmsClient } from '../../lib/kms-client/kms-client.ts'
import type { Csr } from '../../lib/x509/csr.ts'
import { acceptedSpki } from '../../lib/x509/weak-keys.ts'

/** @throws AppError invalid-input for a bad request, service-unavailable without the KMS, internal for the answer to another */
export async function signedCertificate(
  kms: Pick<KmsClient, 'issueDeviceCertificate'>,
  caKeyId: string,
  request: DeviceCertificateRequest,
  csr: Csr
): Promise<X509Certificate> {
  const certificate = new X509Certificate(await signed(kms, caKeyId, request))
  if (certificate.serialNumber !== request.serial || !sameKey(certificate, csr)) {
    throw new AppError('internal', 'The KMS answered the certificate of another request.')
  }
  return certificate
}

/** Only a bad request is the device's fault: that the KMS refuses *us*, or is not there, is not told as a 401 or 404. */
async function signed(
  kms: Pick<KmsClient, 'issueDeviceCertificate'>,
  caKeyId: string,
  request: DeviceCertificateRequest
): Promise<string> {
  try {
    return await kms.issueDeviceCertificate(caKeyId, request)
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'invalid-input') throw thrown
    throw new AppError('service-unavailable', 'No certificate can be issued at the moment.', { cause: thrown })
  }
}

/**
 * By their encodings: KeyObject.equals of an RSA and an EC key leaves an error in OpenSSL's queue, and the next read on any TLS
 * connection of the process fails with it (Node 24.21).
 */
export function sameKey(certificate: X509Certificate, csr: Csr): boolean {
  return acceptedSpki(certificate.publicKey).equals(acceptedSpki(csr.publicKey))
}
