/** Chrystoki.conf, the configuration of the Luna and DPoD clients: `Section = { Key = value; Key = value; }`. */

/** Values by section and key; a key that comes twice keeps its last value. */
export type ChrystokiConf = ReadonlyMap<string, ReadonlyMap<string, string>>

/** What the file says about the way to the HSM. Passwords and tokens that may stand in it are left out. */
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

export interface HaGroup {
  readonly label: string
  readonly serial: string
  /** Serial numbers of the members. */
  readonly members: readonly string[]
}

export interface CertificatePlace {
  /** e.g. "XTC.PartitionCertPath00". */
  readonly key: string
  readonly path: string
  /** The key whose certificates must have issued this one; null: self-signed, or by whom is not known here. */
  readonly issuedBy: string | null
}

/** Reads the text of a Chrystoki.conf. Lines that begin with `#` are comments; what is not a section is passed over. */
export function parseChrystokiConf(text: string): ChrystokiConf {
  const conf = new Map<string, Map<string, string>>()
  const plain = text.replace(/^\s*#.*$/gm, '')
  for (const [, name = '', body = ''] of plain.matchAll(/([^={};]+)=\s*\{([^{}]*)\}/g)) {
    const section = conf.get(name.trim()) ?? new Map<string, string>()
    for (const pair of body.split(';')) {
      const equals = pair.indexOf('=')
      if (equals > 0) section.set(pair.slice(0, equals).trim(), pair.slice(equals + 1).trim())
    }
    conf.set(name.trim(), section)
  }
  return conf
}

/** The 64-bit library that the configuration names; null when it names none. */
export function libraryIn(conf: ChrystokiConf): string | null {
  return conf.get('Chrystoki2')?.get('LibUNIX64') ?? null
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
    haGroups: numbered(conf, 'VirtualToken', /^VirtualToken(\d\d)SN$/).map(([number, serial]) => ({
      label: value('VirtualToken', `VirtualToken${number}Label`) ?? '',
      serial,
      members: (value('VirtualToken', `VirtualToken${number}Members`) ?? '').split(',').flatMap((member) => {
        const trimmed = member.trim()
        return trimmed === '' ? [] : [trimmed]
      })
    })),
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
