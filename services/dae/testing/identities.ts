/** Certificates of the services from an internal CA with a software key, where no token is needed. */

import { type Role, roles } from '../../../lib/service/roles.ts'
import { issueCertificate } from '../../../lib/x509/issue.ts'
import { newSerial } from '../../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../../lib/x509/service-role.ts'
import { newServiceKey } from '../../../lib/x509/software-key.ts'
import { file, newCa, type TestCa } from '../../../lib/x509/testing.ts'
import { validity } from '../../../lib/x509/validity.ts'
import type { Identity } from './service-process.ts'

export interface Identities {
  readonly identity: (role: Role) => Identity
  /** Names the wizard, and is of a CA that is not ours. */
  readonly foreign: Identity
}

export async function newIdentities(): Promise<Identities> {
  const [ca, otherCa] = await Promise.all([newCa('EC-P256', 'CN=Service CA'), newCa('EC-P256', 'CN=Service CA')])
  const made = new Map<Role, Identity>()
  for (const role of roles) made.set(role, await identityOf(role, ca))
  return {
    identity: (role) => {
      const found = made.get(role)
      if (found === undefined) throw new Error(`no certificate for ${role}`)
      return found
    },
    foreign: await identityOf('wizard', otherCa)
  }
}

async function identityOf(role: Role, { certificate: issuer, signer }: TestCa): Promise<Identity> {
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
  return { certificate: file(certificate.toString()), key: file(privateKey), ca: file(issuer.toString()) }
}
