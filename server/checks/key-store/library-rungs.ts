/** The first rungs for every key store: the library is a file that can be loaded, and it starts. */
import type { Rung } from '../check.ts'
import { type SeenKeyStore, stoppedCure, stoppedIn, stoppedWords } from './seen-key-store.ts'

const why = {
  'not-absolute': 'the path is not absolute',
  missing: 'there is no such file',
  'not-a-file': 'it is not a regular file',
  unreadable: 'this user may not read it',
  'not-elf': 'it is not a Linux library',
  'not-64-bit': 'it is a 32-bit library',
  'wrong-architecture': 'it is for another processor',
  'not-a-library': 'it is a program, not a library'
} as const

export const libraryRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.library',
    title: 'PKCS#11 library',
    outcomes: [
      {
        verdict: 'fail',
        when: ({ facts }) => facts.file.problem !== null,
        say: ({ facts: { file } }) =>
          `Library ${file.path} could not be loaded: ${file.problem === null ? '' : why[file.problem]}.`,
        fix: 'Enter the path of the 64-bit library of the installed client, for example /usr/safenet/lunaclient/lib/libCryptoki2_64.so.',
        field: 'library',
        guide: 'Guide: HSM prerequisites, client installed'
      },
      {
        verdict: 'warn',
        when: ({ facts }) => facts.file.writableByOthers,
        say: ({ facts: { file } }) => `Other users of this machine may replace the library ${file.path}.`,
        fix: ({ facts: { file } }) => `chmod go-w ${file.path}, and look at its folder too.`,
        field: 'library'
      },
      {
        verdict: 'pass',
        say: ({ facts: { file } }) =>
          `${file.path}, ${file.architecture}, SHA-256 ${file.sha256?.slice(0, 16) ?? 'unknown'}…`
      }
    ]
  },
  {
    id: 'kms.loads',
    title: 'Library starts',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, ['turn', 'load']),
        say: (seen) => `Library ${seen.facts.file.path} could not be loaded: ${stoppedWords(seen)}`,
        fix: stoppedCure,
        field: 'library'
      },
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, ['initialize']),
        say: stoppedWords,
        fix: (seen) =>
          seen.config.profile === 'nss'
            ? stoppedCure(seen)
            : `${stoppedCure(seen)} Check the Chrystoki.conf folder under "HSM client".`,
        field: (seen) => (seen.config.profile === 'nss' ? 'nssFolder' : 'confPath')
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.library === null,
        say: stoppedWords,
        fix: stoppedCure,
        field: 'library'
      },
      {
        verdict: 'pass',
        say: ({ facts: { library } }) =>
          `${library?.description || 'PKCS#11 library'} ${library?.version}, ${library?.manufacturer}, Cryptoki ${library?.cryptoki}`
      }
    ]
  }
]
