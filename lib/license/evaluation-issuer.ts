/**
 * The issuer of evaluation licences: a key made per install, in the state folder, trusted on this server only. The
 * vendor's own licence format is not published, so nothing else is built in.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { JWK } from 'jose'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../config/private-file.ts'
import { AppError } from '../errors/app-error.ts'
import { type LicenseClaims, type LicenseIssuer, licenseClaims, licenseType, productName } from './license.ts'

export interface EvaluationOrder {
  readonly licensee: string
  /** How many devices may be registered. */
  readonly devices: number
  readonly days: number
  /** Bound to this tenant when given. */
  readonly tenant?: string
}

const folderOf = (stateDir: string) => join(stateDir, 'license-issuer')
const storedKey = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string()
})
const storedIssuer = storedKey.omit({ d: true })

/**
 * Makes the issuer's key when there is none, and signs.
 * @returns the licence as one line
 * @throws AppError invalid-input when the order cannot be a licence
 */
export async function issueEvaluationLicense(
  stateDir: string,
  order: EvaluationOrder,
  now: Date = new Date()
): Promise<string> {
  const iat = Math.floor(now.getTime() / 1000)
  const claims = licenseClaims.safeParse({
    jti: randomUUID(),
    product: productName,
    licensee: order.licensee,
    ...(order.tenant === undefined ? {} : { tenant: order.tenant }),
    devices: order.devices,
    evaluation: true,
    iat,
    // A few minutes of clock skew between the issuer and the server do no harm.
    nbf: iat - 300,
    exp: iat + Math.round(order.days * 86_400)
  } satisfies LicenseClaims)
  if (!claims.success)
    throw new AppError('invalid-input', 'That is not an order for a license.', { cause: claims.error })
  const { CompactSign, calculateJwkThumbprint, importJWK } = await import('jose')
  const jwk = await issuerKey(stateDir)
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(claims.data)))
    .setProtectedHeader({ alg: 'ES256', typ: licenseType, kid: await calculateJwkThumbprint(jwk) })
    .sign(await importJWK(jwk, 'ES256'))
}

/** The issuers that this install trusts: every public key in the folder (the evaluation issuer's, and any put there by hand). */
export async function trustedIssuers(stateDir: string): Promise<LicenseIssuer[]> {
  const folder = folderOf(stateDir)
  const names = await readdir(folder).catch(() => [])
  const issuers: LicenseIssuer[] = []
  const { calculateJwkThumbprint } = await import('jose')
  for (const name of names.filter((one) => one.endsWith('.pub.json')).sort()) {
    const publicKey = await readPrivateJson(
      join(folder, name),
      storedIssuer,
      'Put the public key back, or remove the file.'
    )
    // Removed in between.
    if (publicKey === null) continue
    issuers.push({ kid: await calculateJwkThumbprint(publicKey), publicKey })
  }
  return issuers
}

async function issuerKey(stateDir: string): Promise<JWK> {
  const folder = folderOf(stateDir)
  const file = join(folder, 'key.json')
  const cure =
    'Put it back from a copy, or remove it: then a new key issues, and licenses of the old one are not trusted any more.'
  const kept = await readPrivateJson(file, storedKey, cure)
  const jwk: JWK = kept ?? (await makeKey())
  await mkdir(folder, { recursive: true, mode: 0o700 })
  if (kept === null) await writePrivateFile(file, `${JSON.stringify(jwk)}\n`)
  // Written each time: a crash between the two files heals at the next issue.
  await writePrivateFile(join(folder, 'evaluation.pub.json'), `${JSON.stringify(storedIssuer.parse(jwk))}\n`)
  return jwk
}

async function makeKey(): Promise<JWK> {
  const { exportJWK, generateKeyPair } = await import('jose')
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return exportJWK(privateKey)
}
