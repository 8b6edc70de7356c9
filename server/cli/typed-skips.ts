/** `--skip check=reason`, beside those of the answers file. */
import { AppError } from '../../lib/errors/app-error.ts'
import type { AnswersFile } from '../install/answers-file.ts'
import { refuseSkips, skipTyped } from '../install/skips.ts'
import { usageError } from './console.ts'

/** What the answers file would be blamed for, and stands on the command line. */
function asUsage<T>(read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown
    throw usageError(thrown.message, thrown.cure === undefined ? {} : { cure: thrown.cure })
  }
}

/** What is typed goes before what the file says of the same check. @throws AppError invalid-input before anything is done */
export function withSkips(file: AnswersFile, typed: readonly string[]): AnswersFile {
  const asked = asUsage(() => {
    const given = typed.map(skipTyped)
    refuseSkips(given)
    return given
  })
  const last = new Map([...(file.skip ?? []), ...asked].map(({ check, reason }) => [check, reason]))
  const skip = [...last].map(([check, reason]) => ({ check, reason }))
  return { ...file, skip }
}
