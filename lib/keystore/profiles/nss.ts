/** NSS softoken: the software-only key store (reference: domain.md A5, pkcs11.md section 2). */
import { availableParallelism } from 'node:os'
import { AppError } from '../../errors/app-error.ts'
import type { KeyStoreProfile } from './profile.ts'

/** The label that our parameters give to the key database, by which its slot is found. */
export const nssTokenLabel = 'KeyScaler NSS'

const cure = 'Enter the password that was set when this key store was made.'

export const nss: KeyStoreProfile = {
  id: 'nss',
  title: 'Software-only NSSKeyStore module',
  hardware: false,
  libraryPaths: [
    '/usr/lib/x86_64-linux-gnu/libsoftokn3.so',
    '/usr/lib/aarch64-linux-gnu/libsoftokn3.so',
    '/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so',
    '/usr/lib64/libsoftokn3.so'
  ],
  deadlineMs: () => 10_000,
  copyKeysToSession: true,
  sessions: () => 2 * availableParallelism(),
  // NSS takes any password, an empty one too, whatever minPWLen says: the minimum is ours.
  pin: { min: 12, max: 255, refused: /[\0\r\n]/ },
  locksOnWrongPins: false,
  mechanisms: { rsaKeyPairGen: [0x0000] },
  hints: {
    160: { say: 'The folder holds a key store with another password.', cure },
    161: { say: 'The folder holds a key store with another password.', cure },
    258: { say: 'The key store in this folder has no password yet.', cure: 'Choose an empty folder.' },
    5: { say: 'The key store in this folder cannot be read.', cure: 'Restore key4.db and cert9.db from a backup.' }
  }
}

/**
 * The parameter string of softoken from one fixed template. A malformed string makes softoken crash or open another
 * folder, so anything that could end the quotation is refused.
 * @param folder absolute path of the database
 * @param access `read` never changes the folder (the database must exist)
 * @throws AppError invalid-input for a relative path, a quote, a backslash or a control character
 */
export function nssParameters(folder: string, access: 'read' | 'write'): string {
  if (!isSafeFolder(folder)) {
    throw new AppError(
      'invalid-input',
      'The NSS database folder must be an absolute path without quotes or backslashes.'
    )
  }
  const flags = access === 'read' ? 'readOnly' : ''
  return (
    `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=${flags} ` +
    `dbTokenDescription='${nssTokenLabel}' dbSlotDescription='KeyScaler key database' minPWLen=${nss.pin.min} `
  )
}

function isSafeFolder(folder: string): boolean {
  const control = [...folder].some((character) => character < ' ' || character === '\x7f')
  return folder.startsWith('/') && !control && !/['"\\<>]/.test(folder)
}
