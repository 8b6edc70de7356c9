/** Luna network and PCIe HSMs, and Data Protection on Demand partitions (reference: domain.md A2-A4). */
import { availableParallelism } from 'node:os'
import type { KeyStoreProfile } from './profile.ts'

const fipsRsaPrimeKeyPairGen = 0x80000143

export const gemaltoSafenet: KeyStoreProfile = {
  id: 'gemalto-safenet',
  title: 'Gemalto SafeNet',
  hardware: true,
  libraryPaths: ['/usr/safenet/lunaclient/lib/libCryptoki2_64.so', '/opt/dpod/**/libs/64/libCryptoki2.so'],
  deadlineMs: (module) => deadlines[moduleKind(module)],
  sessions: (module) => ({ local: 2 * availableParallelism(), luna: 16, dpod: 8 })[moduleKind(module)],
  copyKeysToSession: false,
  // thalesdocs: 7-255 characters, no double quote.
  pin: { min: 7, max: 255, refused: /["\0\r\n]/ },
  locksOnWrongPins: true,
  mechanisms: { rsaKeyPairGen: [0x0000, fipsRsaPrimeKeyPairGen] },
  hints: {}
}

/** Luna's own receive timeout is 20 s; DPoD is a WAN round trip for each call; anything else is on this host. */
const deadlines = { local: 10_000, luna: 30_000, dpod: 60_000 } as const

/** What a library is, told by where it is: the Luna client and the DPoD package have fixed layouts. */
function moduleKind(module: string): 'luna' | 'dpod' | 'local' {
  if (/^\/opt\/dpod\/|\/libs\/64\/libCryptoki2\.so$/.test(module)) return 'dpod'
  if (/^\/usr\/(safenet|lunasa|luna)\/|\/lunaclient\//.test(module)) return 'luna'
  return 'local'
}
