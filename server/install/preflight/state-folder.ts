/** Where everything of the install will be: is there a place for it that is ours alone, and what is there already? */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError } from '../../../lib/errors/app-error.ts'
import { defineCheck } from '../../checks/check.ts'
import { hasInstall } from '../boot-file.ts'

interface SeenFolder {
  readonly folder: string
  /** It, or the nearest above it that is there. */
  readonly nearest: string
  readonly isFolder: boolean
  readonly writable: boolean
  /** Permission bits; null: it will be made. */
  readonly mode: number | null
  readonly installed: boolean
  readonly locked: AppError | null
}

/** Changes nothing: nothing is written there to try it out. */
async function observeFolder(folder: string): Promise<SeenFolder> {
  let nearest = folder
  let info = await statOrNull(nearest)
  while (info === null && dirname(nearest) !== nearest) {
    nearest = dirname(nearest)
    info = await statOrNull(nearest)
  }
  const isFolder = info?.isDirectory() === true
  const writable = isFolder && (await mayWrite(nearest))
  const mode = nearest === folder && info !== null ? info.mode & 0o777 : null
  const seen = { folder, nearest, isFolder, writable, mode, installed: false, locked: null }
  if (!writable) return seen
  try {
    return { ...seen, installed: await hasInstall(folder) }
  } catch (thrown) {
    if (thrown instanceof AppError) return { ...seen, locked: thrown }
    throw thrown
  }
}

const statOrNull = (path: string) =>
  stat(path).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR'))
      return null
    throw thrown
  })

const mayWrite = (path: string): Promise<boolean> =>
  access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false
  )

export const stateFolderCheck = defineCheck<string, SeenFolder>({
  id: 'preflight.state-folder',
  title: 'State folder',
  deadlineMs: 5000,
  fix: 'Choose another folder: --state.',
  observe: observeFolder,
  outcomes: [
    {
      verdict: 'fail',
      when: ({ isFolder }) => !isFolder,
      say: ({ nearest }) => `${nearest} is no folder.`,
      fix: 'Choose another folder: --state.'
    },
    {
      verdict: 'fail',
      when: ({ writable }) => !writable,
      say: ({ nearest }) => `This user may not write in ${nearest}.`,
      fix: ({ folder }) =>
        `As root: \`install --directory --mode 700 --owner <user> ${folder}\`, or choose another folder: --state.`
    },
    {
      verdict: 'fail',
      when: ({ locked }) => locked !== null,
      say: ({ locked }) => locked?.message ?? '',
      fix: ({ locked }) => locked?.cure ?? ''
    },
    {
      verdict: 'info',
      when: ({ installed }) => installed,
      say: ({ folder }) => `${folder} holds an install already; it would go on with that one.`
    },
    {
      verdict: 'warn',
      when: ({ mode }) => mode !== null && (mode & 0o077) !== 0,
      say: ({ folder, mode }) => `${folder} is open to others (mode ${mode?.toString(8)}).`,
      fix: ({ folder }) => `chmod 700 ${folder}`
    },
    { verdict: 'pass', when: ({ mode }) => mode === null, say: ({ folder }) => `${folder} can be made.` },
    { verdict: 'pass', say: ({ folder }) => `${folder} is ours and writable.` }
  ]
})
