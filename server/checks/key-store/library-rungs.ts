/** The first rungs for every key store: the library is a file that can be loaded, as the right user, and it starts. */
import type { FileProblem } from '../../../lib/keystore/elf.ts'
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import type { Rung } from '../ladder-judge.ts'
import { type SeenKeyStore, stoppedCure, stoppedHere, stoppedIn, stoppedWords } from './seen-key-store.ts'

const unreadable: Readonly<Partial<Record<FileProblem, string>>> = {
  'not-absolute': 'the path is not absolute',
  missing: 'there is no such file',
  'not-a-file': 'it is not a regular file',
  unreadable: 'this user may not read it'
}

const unloadable: Readonly<Partial<Record<FileProblem, string>>> = {
  'not-elf': 'it is not a Linux library',
  'not-64-bit': 'it is a 32-bit library',
  'wrong-architecture': 'it is for another processor',
  'not-a-library': 'it is a program, not a library'
}

const rightLibrary =
  'Enter the path of the 64-bit library of the installed client, for example /usr/safenet/lunaclient/lib/libCryptoki2_64.so.'

const reasonIn = (reasons: typeof unreadable, { facts }: SeenKeyStore): string | undefined =>
  facts.file.problem === null ? undefined : reasons[facts.file.problem]

export const libraryRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.library',
    title: 'PKCS#11 library',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => reasonIn(unreadable, seen) !== undefined,
        say: (seen) => `Library ${seen.facts.file.path} could not be loaded: ${reasonIn(unreadable, seen)}.`,
        fix: rightLibrary,
        field: 'library',
        guide: guidePlaces.client
      },
      {
        verdict: 'warn',
        when: ({ facts }) => facts.file.writableByOthers,
        say: ({ facts: { file } }) => `Other users of this machine may replace the library ${file.path}.`,
        fix: ({ facts: { file } }) => `chmod go-w ${file.path}, and look at its folder too.`,
        field: 'library',
        guide: guidePlaces.client
      },
      {
        verdict: 'pass',
        say: ({ facts: { file } }) => `${file.path}, SHA-256 ${file.sha256?.slice(0, 16) ?? 'unknown'}…`
      }
    ]
  },
  {
    id: 'kms.architecture',
    title: 'Library fits this machine',
    outcomes: [
      {
        verdict: 'fail',
        when: ({ facts }) => facts.file.problem !== null,
        say: (seen) => {
          const { path, architecture } = seen.facts.file
          const built = architecture === null ? '' : ` (it is for ${architecture})`
          return `Library ${path} could not be loaded: ${reasonIn(unloadable, seen) ?? seen.facts.file.problem}${built}.`
        },
        fix: rightLibrary,
        field: 'library',
        guide: guidePlaces.tested
      },
      { verdict: 'pass', say: ({ facts: { file } }) => `A shared library for ${file.architecture}, 64 bits.` }
    ]
  },
  {
    id: 'kms.loads',
    title: 'Library loads',
    outcomes: [
      {
        ...stoppedHere(['turn', 'load']),
        say: (seen) => `Library ${seen.facts.file.path} could not be loaded: ${stoppedWords(seen)}`,
        field: 'library',
        guide: guidePlaces.client
      },
      {
        verdict: 'fail',
        // An NSS folder that cannot be used: the library was never asked.
        when: ({ facts }) => facts.stopped === null && !facts.times.some(({ step }) => step === 'load'),
        say: 'The library was not loaded.',
        fix: stoppedCure,
        field: 'library'
      },
      { verdict: 'pass', say: 'The loader takes it, with everything that it needs.' }
    ]
  },
  {
    id: 'kms.runs-as',
    title: 'Checked as the KMS will run',
    independent: true,
    outcomes: [
      { verdict: 'skip', when: ({ facts }) => facts.ranAs === null, say: 'Not reached.' },
      {
        verdict: 'warn',
        when: ({ facts, runAs }) => runAs !== null && facts.ranAs?.uid !== runAs,
        say: (seen) => `Checked as ${who(seen)}; the KMS will run as the user with the number ${seen.runAs}.`,
        fix: 'Run this check as root, or as the user of the KMS: files of the client and membership of hsmusers may differ.',
        guide: guidePlaces.client
      },
      { verdict: 'pass', say: (seen) => `As ${who(seen)}, ${environmentOf(seen)}: as the KMS will run.` }
    ]
  },
  {
    id: 'kms.initialises',
    title: 'Library starts',
    outcomes: [
      {
        ...stoppedHere(['initialize']),
        fix: (seen) =>
          seen.config.profile === 'nss'
            ? stoppedCure(seen)
            : `${stoppedCure(seen)} Check the Chrystoki.conf folder under "HSM client".`,
        field: (seen) => (seen.config.profile === 'nss' ? 'nssFolder' : 'confPath')
      },
      {
        verdict: 'fail',
        when: (seen) => seen.facts.library === null && !stoppedIn(seen, ['slots']),
        say: stoppedWords,
        fix: stoppedCure,
        field: 'library'
      },
      {
        verdict: 'pass',
        say: ({ facts: { library } }) =>
          library === null
            ? 'C_Initialize answers.'
            : `${library.description || 'PKCS#11 library'} ${library.version}, ${library.manufacturer}, Cryptoki ${library.cryptoki}`
      }
    ]
  }
]

function who({ facts }: SeenKeyStore): string {
  return facts.ranAs === null ? 'nobody' : `${facts.ranAs.user} (${facts.ranAs.uid})`
}

function environmentOf({ config }: SeenKeyStore): string {
  if (config.profile === 'nss') return 'with an environment of its own'
  if (config.confPath === undefined) return 'with the usual folder of Chrystoki.conf'
  return `with ChrystokiConfigurationPath=${config.confPath}`
}
