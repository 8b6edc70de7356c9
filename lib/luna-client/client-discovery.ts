/** HSM clients on this host, found without loading any of them: known places, and what Chrystoki.conf names. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { libraryIn, parseChrystokiConf } from './chrystoki-conf.ts'

export interface HsmClient {
  /** `configured`: named by a Chrystoki.conf, and in none of the known places. */
  readonly kind: 'luna' | 'dpod' | 'configured'
  /** Absolute path of the PKCS#11 library; the file is there. */
  readonly module: string
  /** Folder of Chrystoki.conf (for ChrystokiConfigurationPath); null when none was found. */
  readonly confPath: string | null
}

export interface DiscoveryPlaces {
  readonly lunaLibrary: string
  readonly dpodFolder: string
  /** Folders where a Chrystoki.conf may be, the environment's first. */
  readonly confFolders: readonly string[]
}

const dpodLibrary = join('libs', '64', 'libCryptoki2.so')
/** /opt/dpod/<partition>/ is the guide's layout; one folder more for a version. */
const dpodDepth = 3
const mostFolders = 500

/** The places of the guide and of the client's own installer. */
export function usualPlaces(environment: NodeJS.ProcessEnv = process.env): DiscoveryPlaces {
  const named = environment.ChrystokiConfigurationPath
  return {
    lunaLibrary: '/usr/safenet/lunaclient/lib/libCryptoki2_64.so',
    dpodFolder: '/opt/dpod',
    confFolders: named === undefined || named === '' ? ['/etc'] : [named, '/etc']
  }
}

/** Answers the configured client first, each library once. */
export async function findHsmClients(places: DiscoveryPlaces = usualPlaces()): Promise<readonly HsmClient[]> {
  const found: HsmClient[] = []
  for (const confPath of places.confFolders) {
    const module = await libraryNamedIn(confPath)
    if (module !== null && (await isFile(module))) found.push({ kind: kindOf(module, places), module, confPath })
  }
  if (await isFile(places.lunaLibrary)) found.push({ kind: 'luna', module: places.lunaLibrary, confPath: null })
  for (const module of await dpodLibraries(places.dpodFolder)) {
    // libs/64/libCryptoki2.so lies beside the Chrystoki.conf of the unpacked client.
    const folder = dirname(dirname(dirname(module)))
    const confPath = (await isFile(join(folder, 'Chrystoki.conf'))) ? folder : null
    found.push({ kind: 'dpod', module, confPath })
  }
  return found.filter((client, index) => found.findIndex(({ module }) => module === client.module) === index)
}

function kindOf(module: string, places: DiscoveryPlaces): HsmClient['kind'] {
  if (module === places.lunaLibrary) return 'luna'
  return module.startsWith(`${places.dpodFolder}/`) ? 'dpod' : 'configured'
}

async function libraryNamedIn(confFolder: string): Promise<string | null> {
  const text = await readFile(join(confFolder, 'Chrystoki.conf'), 'utf8').catch(() => null)
  return text === null ? null : libraryIn(parseChrystokiConf(text))
}

/** Breadth first, links not followed, bounded: /opt/dpod may hold anything. */
async function dpodLibraries(folder: string): Promise<readonly string[]> {
  const libraries: string[] = []
  let level = [folder]
  let seen = 0
  for (let depth = 0; depth <= dpodDepth && seen < mostFolders; depth++) {
    const below: string[] = []
    for (const place of level.slice(0, mostFolders - seen)) {
      seen++
      if (await isFile(join(place, dpodLibrary))) libraries.push(join(place, dpodLibrary))
      const entries = await readdir(place, { withFileTypes: true }).catch(() => [])
      below.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => join(place, entry.name)))
    }
    level = below
  }
  return libraries
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (info) => info.isFile(),
    () => false
  )
}
