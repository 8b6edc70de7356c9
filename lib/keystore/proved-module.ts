/** The library that is loaded is the one that was proved (security.md A15): a swapped file runs with the PIN in reach. */
import { AppError } from '../errors/app-error.ts'
import type { ModuleFile } from './elf.ts'

/**
 * Costs no login: asked before the library is loaded.
 * @param sha256 of the library as it was proved, hex; undefined: it was found by itself (NSS) and may be updated
 * @throws AppError conflict
 */
export function refuseOtherModule(file: ModuleFile, sha256: string | undefined): void {
  if (sha256 === undefined || file.sha256 === sha256) return
  const now = `${file.sha256?.slice(0, 16) ?? 'unknown'}…`
  throw new AppError(
    'conflict',
    `The library ${file.path} is not the one that was proved: its SHA-256 is ${now}, that of the proved one ${sha256.slice(0, 16)}…. It was not loaded.`,
    {
      cure: 'If the client was updated: `keyscaler unlock`, then Test and Next on the KMS Deployment step confirm the new library. If not, somebody has replaced it: restore the client.'
    }
  )
}
