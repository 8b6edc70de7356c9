/**
 * The absolute paths in the Chrystoki.conf of a DPoD client: the file comes with those of wherever it was made, and the
 * client reads no others. The script `setenv` in the package puts them right when it is sourced; this does the same for
 * the paths, and for nothing else (domain.md A3).
 */

/** Keys that name a file or folder of the client, and the end of the path that stays. */
const places: readonly (readonly [key: RegExp, end: RegExp])[] = [
  [/^LibUNIX64$/, /libs\/64\/libCryptoki2\.so$/],
  [/^PartitionCAPath$/, /partition-ca-certificate\.pem$/],
  [/^PartitionCertPath\d\d$/, /partition-certificate\.pem$/],
  [/^SSLClientSideVerifyFile$/, /server-certificate\.pem$/],
  [/^SSLConfigFile$/, /etc\/openssl\.cnf$/],
  [/^ClientPrivKeyFile$/, /etc\/[^/]+\.pem$/],
  [/^ClientCertFile$/, /etc\/[^/]+\.pem$/],
  [/^ServerCAFile$/, /etc\/[^/]+\.pem$/],
  [/^ToolsDir$/, /bin\/64\/?$/],
  // Older packages name the plugin, the client wants its folder.
  [/^PluginModuleDir$/, /libs\/64\/plugins(?=\/?$|\/libdpod\.plugin$)/]
]

/** True for the keys whose value depends on where the client lies. */
export function isPlaced(key: string): boolean {
  return places.some(([name]) => name.test(key))
}

/** Text with the paths of a client in `folder`; everything else, comments and blanks too, is left as it is. Pure. */
export function withPathsIn(folder: string, text: string): string {
  return text
    .split('\n')
    .map((line) =>
      line.trimStart().startsWith('#') ? line : line.replace(pair, (all, ...found) => placed(all, found))
    )
    .join('\n')

  function placed(all: string, [before = '', key = '', equals = '', value = '']: readonly string[]): string {
    const place = places.find(([name]) => name.test(key))
    const tail = place === undefined ? null : place[1].exec(value)
    return tail === null ? all : `${before}${key}${equals}${folder}/${tail[0].replace(/\/$/, '')}`
  }
}

/** `Key = value` up to its `;`, which may begin the next one on the same line. */
const pair = /((?:^|[{;])\s*)([A-Za-z]+\d*)(\s*=\s*)([^;{}]*?)(?=\s*;)/g
