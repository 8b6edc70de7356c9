/** Which of our services a certificate speaks for: a URI name, `urn:keyscaler:service:<name>`. */
import type { X509Certificate } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { namesOf } from './certificate-fields.ts'

const prefix = 'urn:keyscaler:service:'
const serviceName = /^[a-z][a-z0-9-]{0,31}$/

/** The URI name that carries the role. @param name e.g. `dae`. @throws AppError invalid-input */
export function serviceRoleUri(name: string): string {
  if (!serviceName.test(name))
    throw new AppError('invalid-input', 'A service name has lower-case letters, digits and hyphens.')
  return prefix + name
}

/** True for anything that looks like a role, in any case: no certificate but a service's may have one. */
export function looksLikeServiceRole(uri: string): boolean {
  return uri.toLowerCase().startsWith('urn:keyscaler:')
}

/**
 * The service, or null when the certificate names none, more than one, or cannot be read. Says nothing about trust:
 * call it only for a certificate that chains to the service CA.
 */
export function serviceRoleOf(certificate: X509Certificate): string | null {
  try {
    const [role, ...more] = namesOf(certificate).uris.filter(looksLikeServiceRole)
    if (role === undefined || more.length > 0 || !role.startsWith(prefix)) return null
    const name = role.slice(prefix.length)
    return serviceName.test(name) ? name : null
  } catch {
    return null
  }
}
