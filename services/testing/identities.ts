/** Certificates of the services, as the wizard gives them: from a software CA where no token is needed. */
import { type Role, roles } from '../../lib/service/roles.ts'
import { file, newCa, serviceCertificate, type TestCa } from '../../lib/x509/testing.ts'

/** Paths of PEM files. */
export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

/** @param ca a CA whose signer may be in a token. @throws Error of the function that it answers for a role that is none */
export async function identitiesFrom(ca: TestCa): Promise<(role: Role) => Identity> {
  const caFile = file(ca.certificate.toString())
  const made = new Map<Role, Identity>()
  for (const role of roles) {
    const { certificate, privateKey } = await serviceCertificate(role, ca)
    made.set(role, { certificate: file(certificate), key: file(privateKey), ca: caFile })
  }
  return (role) => {
    const found = made.get(role)
    if (found === undefined) throw new Error(`no certificate for ${role}`)
    return found
  }
}

export interface Identities {
  readonly identity: (role: Role) => Identity
  /** Names the wizard, and is of a CA that is not ours. */
  readonly foreign: Identity
}

export async function newIdentities(): Promise<Identities> {
  const [ours, others] = await Promise.all(
    [newCa('EC-P256', 'CN=Service CA'), newCa('EC-P256', 'CN=Service CA')].map(async (ca) => identitiesFrom(await ca))
  )
  if (ours === undefined || others === undefined) throw new Error('no identities')
  return { identity: ours, foreign: others('wizard') }
}
