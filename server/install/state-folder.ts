/** The state folder, made where it is wanted, or why it cannot be, in words. */
import { makePrivateFolder, systemCodeOf } from '../../lib/config/private-folder.ts'
import { AppError } from '../../lib/errors/app-error.ts'

/** What is wrong with the folder that was named; a full or broken disk is told as it is. */
const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'it is not a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ENOENT: 'nothing can be made there',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ELOOP: 'its path leads in circles',
  ENAMETOOLONG: 'its path is too long'
}

/** Makes it (0700) when it is not there. @throws AppError invalid-input naming it and the cure; else what the system says */
export async function makeStateFolder(stateDir: string): Promise<void> {
  try {
    await makePrivateFolder(stateDir)
  } catch (cause) {
    throw unusable(stateDir, cause)
  }
}

/** What the system said of a state folder, in words where it is the folder that is wrong; anything else as it is. */
export function unusable(stateDir: string, cause: unknown): unknown {
  const reason = reasons[systemCodeOf(cause) ?? '']
  if (reason === undefined) return cause
  return new AppError('invalid-input', `${stateDir} cannot be the state folder: ${reason}.`, {
    cause,
    cure: 'Name a folder that this user owns or may make: --state <folder>.'
  })
}
