/**
 * The certificates of our own services, in `<state>/tls`: one from the internal CA with the service's role, for mutual
 * TLS and, unless the administrator gave another, for its listener.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { verifyChain } from '../../lib/x509/chain.ts'
import { serviceRoleOf } from '../../lib/x509/service-role.ts'
import { newServiceKey } from '../../lib/x509/software-key.ts'
import { certificateRequest } from './certificate-request.ts'
import { type IdentityFiles, identityFiles } from './identity-files.ts'

export interface WantedCertificate {
  readonly publicKey: KeyObject
  /** PEM. */
  readonly csr: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** Issues it: the KMS, or before there is one, the key store itself. Answers PEM. */
export type Issue = (wanted: WantedCertificate) => Promise<string>

/** Renewed by the deployment that finds it nearer to its end than this. */
const renewMs = 60 * 86_400_000

/**
 * Keeps a certificate that is good (key, CA, role, name, time), otherwise makes a new key and has one issued.
 * @param host of the service's address; null for the wizard, which is only ever a client
 */
export async function ensureIdentity(
  stateDir: string,
  name: string,
  host: string | null,
  issue: Issue
): Promise<IdentityFiles> {
  const files = identityFiles(stateDir, name)
  if (await identityIsGood(files, name, host)) return files
  const { privateKey, publicKey } = await newServiceKey()
  const names = host === null ? [] : [host]
  const certificate = await issue({
    publicKey,
    csr: certificateRequest(privateKey, `KeyScaler ${name}`),
    dnsNames: names.filter((one) => isIP(one) === 0),
    ipAddresses: names.filter((one) => isIP(one) !== 0)
  })
  // The key first: cut off between the two, the pair does not fit and is made anew.
  await writePrivateFile(files.key, privateKey)
  await writePrivateFile(files.certificate, certificate)
  return files
}

export async function identityIsGood(files: IdentityFiles, name: string, host: string | null): Promise<boolean> {
  const [pem, key, ca] = await Promise.all([
    readFile(files.certificate, 'utf8').catch(() => null),
    readPrivateFile(files.key),
    readFile(files.ca, 'utf8').catch(() => null)
  ])
  if (pem === null || key === null || ca === null) return false
  try {
    const certificate = new X509Certificate(pem)
    const verdict = verifyChain({
      certificate,
      anchors: [new X509Certificate(ca)],
      at: new Date(Date.now() + renewMs),
      ...(host === null ? {} : { name: host })
    })
    return verdict.trusted && certificate.checkPrivateKey(createPrivateKey(key)) && serviceRoleOf(certificate) === name
  } catch {
    // Torn by hand or by a full disk: made anew.
    return false
  }
}
