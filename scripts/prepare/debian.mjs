// The Debian packages that are needed, decided by the programs and libraries that they bring rather than by asking
// dpkg: what somebody installed in another way counts too.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installPackages, whyNotInstall } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { doing, say } from './report.mjs'

const oldestJava = 17

/**
 * One row a package: who needs it (`for`), and what must be there. `optional` ones may be missing: Java and Maven run a
 * real Kafka, and a mock stands in without them.
 */
const packages = [
  { name: 'build-essential', for: ['build', 'sandbox'], programs: ['cc', 'g++', 'make'] },
  { name: 'python3', for: ['build'], programs: ['python3'] },
  { name: 'mariadb-server', for: ['sandbox'], programs: ['mariadbd', 'mariadb-install-db'] },
  { name: 'memcached', for: ['sandbox'], programs: ['memcached'] },
  { name: 'kcat', for: ['sandbox'], programs: ['kcat'] },
  { name: 'openssl', for: ['sandbox'], programs: ['openssl'] },
  { name: 'curl', for: ['sandbox'], programs: ['curl'] },
  { name: 'softhsm2', for: ['sandbox'], libraries: ['softhsm/libsofthsm2.so'] },
  { name: 'libnss3', for: ['sandbox'], libraries: ['libsoftokn3.so', 'nss/libsoftokn3.so'] },
  // The load generator of the benchmarks is a C program that speaks TLS.
  { name: 'libssl-dev', for: ['bench', 'test'], headers: ['openssl/ssl.h'] },
  { name: 'chromium', for: ['test'], programs: ['chromium', 'chromium-browser', 'google-chrome'], any: true },
  // Independent witnesses: OpenSC reads our tokens, strongSwan's pki enrols with our EST.
  { name: 'opensc', for: ['test', 'crash'], programs: ['pkcs11-tool'] },
  // Witness of the crash harness: it sees every system call.
  { name: 'strace', for: ['crash'], programs: ['strace'] },
  { name: 'strongswan-pki', for: ['test'], programs: ['pki'] },
  { name: 'libstrongswan-standard-plugins', for: ['test'], libraries: ['ipsec/plugins/libstrongswan-openssl.so'] },
  { name: 'libstrongswan-extra-plugins', for: ['test'], libraries: ['ipsec/plugins/libstrongswan-curl.so'] },
  { name: 'default-jre-headless', for: ['kafka'], optional: true, test: () => javaVersion() >= oldestJava },
  { name: 'maven', for: ['kafka'], optional: true, programs: ['mvn'] }
]

/** @returns {{ name: string, optional: boolean }[]} what is missing for the purposes that are true */
export function missingPackages(purposes) {
  return packages
    .filter((row) => row.for.some((purpose) => purposes[purpose]) && !isHere(row))
    .map(({ name, optional = false }) => ({ name, optional }))
}

/**
 * What of that we shall install. Where we may not, it says exactly what is missing.
 * @param {{ name: string, optional: boolean }[]} missing
 * @returns {{ name: string, optional: boolean }[] | null} null: the command cannot go on
 */
export function installable(missing) {
  const why = missing.length === 0 ? null : whyNotInstall()
  if (why === null) return missing
  const names = missing.map((row) => row.name).join(' ')
  say(`Missing Debian packages: ${names}`)
  if (missing.every((row) => row.optional)) {
    say(`They are for a real Kafka only, and cannot be installed here (${why}): a mock broker is used without them.`)
    return []
  }
  say(`They cannot be installed here (${why}). Have this run, then start again:`)
  say(`  sudo apt-get update && sudo apt-get install --no-install-recommends ${names}`)
  return null
}

export async function providePackages(missing) {
  if (missing.length === 0) return
  const names = missing.map((row) => row.name)
  const needed = missing.filter((row) => !row.optional).map((row) => row.name)
  await doing(`Installing Debian packages: ${names.join(' ')}`, () => installPackages(needed, names))
}

function isHere(row) {
  if (row.test !== undefined) return row.test()
  if (row.libraries !== undefined) return row.libraries.some(libraryIsHere)
  if (row.headers !== undefined) return row.headers.every((name) => existsSync(join('/usr/include', name)))
  const found = row.programs.map((name) => findProgram(name) !== null)
  return row.any === true ? found.includes(true) : !found.includes(false)
}

function libraryIsHere(name) {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch
  return [`/usr/lib/${machine}-linux-gnu`, '/usr/lib64', '/usr/lib'].some((folder) => existsSync(join(folder, name)))
}

/** The major version of the Java on PATH, read from its release file, since asking it takes a tenth of a second. */
function javaVersion() {
  const java = findProgram('java')
  if (java === null) return 0
  const release = join(dirname(dirname(realpathSync(java))), 'release')
  if (!existsSync(release)) return oldestJava // An odd build: let it try.
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, 'utf8'))?.[1] ?? 0)
}
