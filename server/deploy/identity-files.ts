/** Where the certificates of our own services are: `<state>/tls`. Only names; what makes them is service-identity.ts. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface IdentityFiles {
  readonly certificate: string
  readonly key: string
  /** The internal CA. */
  readonly ca: string
}

/** @param name kms, dae, mqs, cp or wizard */
export function identityFiles(stateDir: string, name: string): IdentityFiles {
  const file = (base: string) => join(stateDir, 'tls', base)
  return { certificate: file(`${name}.crt`), key: file(`${name}.key`), ca: file('service-ca.crt') }
}

/**
 * The wizard as a client of the KMS. Where the administrator gave the KMS a certificate, its root is trusted beside the
 * internal CA (steps/service-plan.ts writes that file).
 */
export function wizardIdentity(stateDir: string): IdentityFiles {
  const own = identityFiles(stateDir, 'wizard')
  const trust = trustPath(stateDir, 'wizard')
  return { ...own, ca: existsSync(trust) ? trust : own.ca }
}

/** PEM: the internal CA first, then roots of certificates that were given. */
export function trustPath(stateDir: string, caller: string): string {
  return join(stateDir, 'tls', `${caller}-trust.crt`)
}
