/** What a Chrystoki.conf says about the way to the HSM: appliances or cloud service, HA groups, certificates. */
import { type HaGroup, haGroupsIn } from '../keystore/ha-groups.ts'
import { type ChrystokiConf, libraryIn } from './chrystoki-conf.ts'

/** Passwords and tokens that may stand in the file are left out. */
export interface ClientConfiguration {
  /** The 64-bit library; null when none is named. */
  readonly library: string | null
  /** Luna appliances (`LunaSA Client`), in their order. */
  readonly appliances: readonly Peer[]
  /** The service of Data Protection on Demand (`REST`). */
  readonly cloud: Peer | null
  readonly haGroups: readonly HaGroup[]
  /** Only HA groups are shown, and their virtual slot is 0. */
  readonly haOnly: boolean
  /** Secure Trusted Channel instead of NTLS. */
  readonly secureTrustedChannel: boolean
  readonly certificates: readonly CertificatePlace[]
}

interface Peer {
  readonly name: string
  readonly port: number
}

export interface CertificatePlace {
  /** e.g. "XTC.PartitionCertPath00". */
  readonly key: string
  readonly path: string
  /** The key whose certificates must have issued this one; null: self-signed, or by whom is not known here. */
  readonly issuedBy: string | null
}

export function clientConfiguration(conf: ChrystokiConf): ClientConfiguration {
  const value = (section: string, key: string) => conf.get(section)?.get(key)
  const cloudName = value('REST', 'ServerName')
  const appliances = numbered(conf, 'LunaSA Client', /^ServerName(\d\d)$/).flatMap(([number, name]) =>
    name === '' ? [] : [{ name, port: port(value('LunaSA Client', `ServerPort${number}`), 1792) }]
  )
  return {
    library: libraryIn(conf),
    appliances,
    cloud: cloudName === undefined ? null : { name: cloudName, port: port(value('REST', 'ServerPort'), 443) },
    haGroups: haGroupsIn(conf),
    haOnly: value('HAConfiguration', 'HAOnly') === '1',
    secureTrustedChannel: conf.has('Secure Trusted Channel'),
    certificates: certificatesOf(conf, appliances.length > 0)
  }
}

/** `Key00`, `Key01` … of a section, by their number. */
function numbered(conf: ChrystokiConf, section: string, key: RegExp): readonly (readonly [string, string])[] {
  return [...(conf.get(section) ?? [])]
    .flatMap(([name, value]) => {
      const number = key.exec(name)?.[1]
      return number === undefined ? [] : [[number, value] as const]
    })
    .sort(([one], [other]) => one.localeCompare(other))
}

/** A DPoD client names those of NTLS too, as placeholders: they count only where an appliance is registered. */
function certificatesOf(conf: ChrystokiConf, hasAppliances: boolean): readonly CertificatePlace[] {
  const found: CertificatePlace[] = []
  const add = (section: string, key: string, issuedBy: string | null = null) => {
    const path = conf.get(section)?.get(key)
    if (path !== undefined && path !== '') found.push({ key: `${section}.${key}`, path, issuedBy })
  }
  if (hasAppliances) {
    add('LunaSA Client', 'ServerCAFile')
    add('LunaSA Client', 'ClientCertFile')
  }
  add('REST', 'SSLClientSideVerifyFile')
  add('XTC', 'PartitionCAPath')
  for (const [number] of numbered(conf, 'XTC', /^PartitionCertPath(\d\d)$/)) {
    add('XTC', `PartitionCertPath${number}`, 'XTC.PartitionCAPath')
  }
  return found
}

function port(text: string | undefined, otherwise: number): number {
  const number = Number(text)
  return Number.isInteger(number) && number > 0 && number < 65_536 ? number : otherwise
}
