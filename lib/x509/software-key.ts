/**
 * Keys that are files: those of the services' and the wizard's own TLS. CA keys are never here, they are in the token.
 */
import { createPrivateKey, generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { issueCertificate } from './issue.ts'
import { newSerial } from './serial.ts'
import type { Signer } from './signing.ts'
import { validity } from './validity.ts'

export interface ServiceKey {
  /** PEM, PKCS#8. The caller writes it to a 0600 file and nowhere else. */
  readonly privateKey: string
  readonly publicKey: KeyObject
}

/** A new EC P-256 key pair. */
export async function newServiceKey(): Promise<ServiceKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return { privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), publicKey }
}

/**
 * The wizard's generated TLS certificate and key, for an address that is not loopback: nobody vouches for it, so its
 * fingerprint is shown beside the one-time code. @param names DNS names and IP addresses, mixed. @throws AppError
 * invalid-input
 */
export async function selfSignedTls(wanted: {
  readonly names: readonly string[]
  readonly days: number
}): Promise<{ certificate: string; privateKey: string }> {
  const { privateKey, publicKey } = await newServiceKey()
  const certificate = await issueCertificate(
    {
      profile: 'wizard-tls',
      subject: [{ type: 'CN', value: 'KeyScaler Setup' }],
      publicKey,
      serial: newSerial(),
      ...validity(wanted.days),
      dnsNames: wanted.names.filter((name) => isIP(name) === 0),
      ipAddresses: wanted.names.filter((name) => isIP(name) !== 0)
    },
    softwareSigner(privateKey, publicKey)
  )
  return { certificate: certificate.toString(), privateKey }
}

function softwareSigner(privateKey: string, publicKey: KeyObject): Signer {
  const key = createPrivateKey(privateKey)
  return { algorithm: 'EC-P256', publicKey, sign: async (tbs) => sign('sha256', tbs, key) }
}
