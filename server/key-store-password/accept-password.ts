/**
 * The day after `role changepw`: the partition has a new Crypto Officer password, and the KMS an old one. One login
 * proves the new one, the credential file is swapped as a whole, and the KMS is started with it: a latch is lifted with that.
 */
import { AppError } from '../../lib/errors/app-error.ts'
import { inspectModuleFile } from '../../lib/keystore/elf.ts'
import type { Confirmation } from '../../lib/keystore/pin-rules.ts'
import { refuseOtherModule } from '../../lib/keystore/proved-module.ts'
import { takeTurn } from '../../lib/keystore/turns.ts'
import type { Finding } from '../checks/check.ts'
import { diagnoseKeyStore } from '../checks/key-store/diagnose.ts'
import { keyStoreFromRecord, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { waitingFor } from '../checks/key-store/seen-key-store.ts'
import type { ServiceStatus } from '../deploy/target.ts'
import { keepPassword, passwordTurn } from './kept-password.ts'

export interface NewPassword {
  readonly stateDir: string
  readonly pin: string
  /** What a person has confirmed about a password that the guard holds back. Never set by a program. */
  readonly confirmed?: Confirmation | undefined
  /** Starts the KMS with the password that is kept by then; whoever supervises it does that. */
  readonly startKms: (report: (phase: string) => void) => Promise<ServiceStatus>
}

export type AcceptedPassword =
  /** Nothing was changed; the findings say why. */
  | { readonly accepted: false; readonly findings: readonly Finding[] }
  /** `kms`: how it came up, or the error that it did not; the password is kept either way. */
  | { readonly accepted: true; readonly findings: readonly Finding[]; readonly kms: ServiceStatus | AppError }

/**
 * One at a time. At most one login, and none for a password that was rejected before. Killed anywhere, it may be run again: before the
 * swap nothing has changed, after it the next wizard starts the KMS with the new password.
 * @throws AppError out-of-order when this install has no key store yet, conflict when its library is another file now; what diagnoseKeyStore throws
 */
export function acceptPassword(given: NewPassword, report: (phase: string) => void): Promise<AcceptedPassword> {
  return takeTurn(passwordTurn(given.stateDir), () => acceptInTurn(given, report))
}

async function acceptInTurn(given: NewPassword, report: (phase: string) => void): Promise<AcceptedPassword> {
  const { stateDir, pin, confirmed, startKms } = given
  const record = await readKeyStoreRecord(stateDir)
  if (record === null) {
    throw new AppError('out-of-order', 'This install has no key store yet.', {
      cure: 'Enter its password on the KMS Deployment step.'
    })
  }
  if (record.module !== null) {
    refuseOtherModule(await inspectModuleFile(record.module), record.moduleSha256 ?? undefined)
  }
  const config = keyStoreFromRecord(record)
  const { findings } = await diagnoseKeyStore(
    { config, pin, stateDir, confirmed, record },
    { step: (step) => report(waitingFor(step)) }
  )
  if (findings.some(({ verdict }) => verdict === 'fail')) return { accepted: false, findings }
  await keepPassword(stateDir, config.profile, pin)
  report('The password is right, and kept for the KMS')
  return { accepted: true, findings, kms: await startKms(report).catch(asAppError) }
}

function asAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  return new AppError('deploy-failed', 'The KMS could not be started.', { cause: thrown })
}
