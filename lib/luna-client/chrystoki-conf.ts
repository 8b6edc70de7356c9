/** Chrystoki.conf, the configuration of the Luna and DPoD clients: `Section = { Key = value; Key = value; }`. */

/** Values by section and key; a key that comes twice keeps its last value. */
export type ChrystokiConf = ReadonlyMap<string, ReadonlyMap<string, string>>

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
