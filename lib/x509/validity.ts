import type { X509Certificate } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'

/** Devices' clocks are late more often than ours is early. */
const backdateMs = 5 * 60_000
const dayMs = 86_400_000

/**
 * A life of `days` whole days that begins a little in the past and is cut to lie inside the issuer's.
 * @param days 1 to 36525. @param within the issuing CA's certificate; absent for a self-signed one.
 * @returns whole seconds; notAfter is inclusive, so it is one second before the end (RFC 5280 4.1.2.5).
 * @throws AppError invalid-input for a number out of range, or when the issuer is no longer (or not yet) valid.
 */
export function validity(
  days: number,
  within?: X509Certificate,
  now = new Date()
): { notBefore: Date; notAfter: Date } {
  if (!(Number.isInteger(days) && days >= 1 && days <= 36_525)) {
    throw new AppError('invalid-input', 'The life of a certificate is 1 to 36525 whole days.')
  }
  const from = Math.floor((now.getTime() - backdateMs) / 1000) * 1000
  const notBefore = Math.max(from, within?.validFromDate.getTime() ?? from)
  const end = notBefore + days * dayMs - 1000
  const notAfter = Math.min(end, within?.validToDate.getTime() ?? end)
  if (notBefore > now.getTime() || notAfter < now.getTime()) {
    throw new AppError('invalid-input', 'The CA certificate is not valid now, so it can issue nothing.', {
      cure: `It is valid from ${within?.validFromDate.toISOString()} to ${within?.validToDate.toISOString()}; look at the clock too.`
    })
  }
  return { notBefore: new Date(notBefore), notAfter: new Date(notAfter) }
}
