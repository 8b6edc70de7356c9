/**
 * For the tests of this folder: CAs with software keys in the place of the token's, and openssl as the second opinion.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign, type X509Certificate } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { issueCertificate } from './issue.ts'
import { parseName } from './name.ts'
import { newSerial } from './serial.ts'
import { serviceRoleUri } from './service-role.ts'
import type { Signer, SigningAlgorithm } from './signing.ts'
import { newServiceKey } from './software-key.ts'
import { validity } from './validity.ts'

export interface TestCa {
  readonly certificate: X509Certificate
  readonly signer: Signer
}

export function newKeyPair(algorithm: SigningAlgorithm): { privateKey: KeyObject; publicKey: KeyObject } {
  if (algorithm === 'RSA-3072') return generateKeyPairSync('rsa', { modulusLength: 3072 })
  return generateKeyPairSync('ec', { namedCurve: algorithm === 'EC-P256' ? 'P-256' : 'P-384' })
}

export function newSigner(algorithm: SigningAlgorithm): Signer {
  const { privateKey, publicKey } = newKeyPair(algorithm)
  const hash = algorithm === 'EC-P384' ? 'sha384' : 'sha256'
  return { algorithm, publicKey, sign: async (tbs) => sign(hash, tbs, privateKey) }
}

export async function newCa(
  algorithm: SigningAlgorithm = 'EC-P256',
  name = 'CN=Example Device CA, O=Example, C=GB'
): Promise<TestCa> {
  const signer = newSigner(algorithm)
  const certificate = await issueCertificate(
    {
      profile: 'tenant-ca',
      subject: parseName(name),
      publicKey: signer.publicKey,
      serial: newSerial(),
      ...validity(3650)
    },
    signer
  )
  return { certificate, signer }
}

/** As the wizard gives one to a service on this machine. @returns both as PEM */
export async function serviceCertificate(
  role: string,
  { certificate: issuer, signer }: TestCa
): Promise<{ readonly certificate: string; readonly privateKey: string }> {
  const { privateKey, publicKey } = await newServiceKey()
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: [{ type: 'CN', value: `KeyScaler ${role}` }],
      publicKey,
      serial: newSerial(),
      issuer: { certificate: issuer },
      ipAddresses: ['127.0.0.1'],
      uris: [serviceRoleUri(role)],
      ...validity(30, issuer)
    },
    signer
  )
  return { certificate: certificate.toString(), privateKey }
}

const folder = mkdtempSync(join(tmpdir(), 'x509-test-'))
process.on('exit', () => execFileSync('rm', ['-r', folder]))
let files = 0

/** A file of this test run, removed with it. */
export function file(content: string | Buffer): string {
  files += 1
  const path = join(folder, `${files}`)
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

/** Runs openssl; what it prints, or its complaint as an Error. */
export function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    maxBuffer: 2 ** 26
  })
}
