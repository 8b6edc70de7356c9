/** A closer look at one client: its configuration, its certificates, `vtl verify`, and who may read it. No login. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseChrystokiConf } from './chrystoki-conf.ts'
import { type CertificateFact, inspectCertificates } from './client-certificates.ts'
import { type ClientConfiguration, clientConfiguration } from './client-configuration.ts'
import type { HsmClient } from './client-discovery.ts'
import { type HsmUserState, observeHsmUser } from './hsm-users.ts'
import { runVtlVerify, type VtlFacts } from './vtl-verify.ts'

export interface ClientInspection {
  readonly client: HsmClient
  /** Null: there is no Chrystoki.conf, or this user may not read it (`unreadable`). */
  readonly configuration: ClientConfiguration | null
  readonly unreadable: boolean
  readonly certificates: readonly CertificateFact[]
  readonly vtl: VtlFacts
  readonly hsmUser: HsmUserState
}

/** Takes as long as `vtl verify`: up to 30 s when an appliance does not answer. Never throws. */
export async function inspectClient(client: HsmClient, uid?: number): Promise<ClientInspection> {
  const [conf, vtl, hsmUser] = await Promise.all([
    readConfiguration(client.confPath),
    runVtlVerify(client),
    observeHsmUser(uid)
  ])
  const certificates = await inspectCertificates(conf.configuration?.certificates ?? [])
  return { client, ...conf, certificates, vtl, hsmUser }
}

/** What the Chrystoki.conf in a folder says; null where it cannot be read. */
export async function readLunaConfiguration(folder: string | null): Promise<ClientConfiguration | null> {
  return (await readConfiguration(folder)).configuration
}

async function readConfiguration(folder: string | null) {
  // Without the variable the library looks in /etc.
  const path = join(folder ?? '/etc', 'Chrystoki.conf')
  try {
    const configuration = clientConfiguration(parseChrystokiConf(await readFile(path, 'utf8')))
    return { configuration, unreadable: false }
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return { configuration: null, unreadable: !missing }
  }
}
