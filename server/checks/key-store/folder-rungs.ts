/** What is special about the software key store: its folder, and what it does not protect from. */
import type { Rung } from '../ladder-judge.ts'
import type { SeenKeyStore } from './seen-key-store.ts'

const field = 'nssFolder'

export const folderRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.protection',
    title: 'Protection',
    outcomes: [
      {
        verdict: 'info',
        say: 'Keys in the software-only NSSKeyStore module are not HSM-protected: who gets its files and password has the keys. The guide recommends Gemalto SafeNet.'
      }
    ]
  },
  {
    id: 'kms.folder',
    title: 'Key store folder',
    outcomes: [
      {
        verdict: 'fail',
        when: ({ facts }) => facts.folder?.fresh === true && facts.folder.foreignFiles.length > 0,
        say: ({ facts: { folder } }) =>
          `The folder ${folder?.path} holds other files: ${folder?.foreignFiles.join(', ')}.`,
        fix: 'Choose an empty folder, or one that does not exist yet.',
        field
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.folder?.writable === false,
        say: ({ facts: { folder } }) =>
          `The folder ${folder?.path} ${folder?.exists ? 'may not be written by this user' : 'cannot be made by this user'}.`,
        fix: 'Give it to the user who runs the wizard, with mode 0700.',
        field
      },
      {
        verdict: 'warn',
        when: ({ facts }) => facts.folder?.exists === true && facts.folder.openToOthers,
        say: ({ facts: { folder } }) => `Other users of this machine may look into ${folder?.path}.`,
        fix: ({ facts: { folder } }) => `chmod 700 ${folder?.path}`,
        field
      },
      {
        verdict: 'pass',
        say: ({ facts: { folder } }) =>
          folder?.fresh === false
            ? `${folder.path} holds a key store; it is used.`
            : `A new key store will be made in ${folder?.path}.`
      }
    ]
  }
]
