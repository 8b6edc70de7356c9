/**
 * Licences: a signed statement (JWS, ES256, compact) of how many devices one licensee may manage until when. Whoever
 * holds an issuer's key can make one; an install trusts the issuers whose public keys it was given.
 */
import type { JWK } from 'jose'
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'

export const licenseType = 'keyscaler-license+jws'

/** What a licence must be for. */
export const productName = 'KeyScaler'

const seconds = z.int().min(0).max(253_402_300_799)

export const licenseClaims = z.strictObject({
  /** Id of the licence, unique with its issuer. */
  jti: z.string().regex(/^[A-Za-z0-9-]{8,64}$/),
  product: z.string().max(64),
  licensee: z.string().min(1).max(190),
  /** Bound to one tenant; absent: whichever it is given to. */
  tenant: z.string().max(63).optional(),
  devices: z.int().min(1).max(4_294_967_295),
  evaluation: z.boolean(),
  /** Seconds since 1970, as in RFC 7519. */
  iat: seconds,
  nbf: seconds,
  exp: seconds
})

export type LicenseClaims = z.infer<typeof licenseClaims>

/** A public key that licences may be signed with; `kid` is its RFC 7638 thumbprint. */
export interface LicenseIssuer {
  readonly kid: string
  readonly publicKey: JWK
}

/** What a licence says of itself, and whether it may be used. Dates are judged by `now`; the rest by whoever asks. */
export type LicenseVerdict =
  | { readonly valid: true; readonly claims: LicenseClaims }
  | {
      readonly valid: false
      readonly problem: 'malformed' | 'unknown-issuer' | 'bad-signature' | 'not-yet-valid' | 'expired'
      /** Present when the signature was good. */
      readonly claims?: LicenseClaims
    }

/** @param text compact JWS, without white space. Never throws for what a caller may paste. */
export async function verifyLicense(
  text: string,
  issuers: readonly LicenseIssuer[],
  now: Date = new Date()
): Promise<LicenseVerdict> {
  const claims = await readSigned(text, issuers)
  if (typeof claims === 'string') return { valid: false, problem: claims }
  const at = now.getTime() / 1000
  if (at < claims.nbf) return { valid: false, problem: 'not-yet-valid', claims }
  if (at >= claims.exp) return { valid: false, problem: 'expired', claims }
  return { valid: true, claims }
}

async function readSigned(
  text: string,
  issuers: readonly LicenseIssuer[]
): Promise<LicenseClaims | 'malformed' | 'unknown-issuer' | 'bad-signature'> {
  // Loaded where it is used: most commands look at no licence.
  const { compactVerify, errors, importJWK } = await import('jose')
  try {
    const { payload } = await compactVerify(
      text,
      async ({ kid }) => {
        const issuer = issuers.find((known) => known.kid === kid)
        if (issuer === undefined) throw new AppError('not-found', 'unknown issuer')
        return importJWK(issuer.publicKey, 'ES256')
      },
      // Only this one: neither "none" nor a MAC keyed with the public key (RFC 8725 3.1).
      { algorithms: ['ES256'] }
    )
    const parsed = licenseClaims.safeParse(JSON.parse(new TextDecoder().decode(payload)))
    return parsed.success ? parsed.data : 'malformed'
  } catch (thrown) {
    if (thrown instanceof AppError) return 'unknown-issuer'
    return thrown instanceof errors.JWSSignatureVerificationFailed ? 'bad-signature' : 'malformed'
  }
}
