/**
 * "Change it now": a new Crypto Officer password in the partition and in the credential file, in an order that a kill
 * cannot break. The new one is on disk before the partition has it; which of both is right is settled afterwards.
 */
import { AppError } from '../../lib/errors/app-error.ts'
import { changePin, changeUnanswered } from '../../lib/keystore/change-pin.ts'
import { guardedName } from '../../lib/keystore/guarded-login.ts'
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { loginOutcome } from '../../lib/keystore/login-gate.ts'
import { openPinGuard } from '../../lib/keystore/pin-guard.ts'
import type { Confirmation } from '../../lib/keystore/pin-rules.ts'
import { proveToken } from '../../lib/keystore/prove-token.ts'
import { takeTurn } from '../../lib/keystore/turns.ts'
import { isSameModule, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import {
  dropPending,
  keepPassword,
  keepPending,
  type PendingPassword,
  passwordTurn,
  readPending
} from './kept-password.ts'

export interface PasswordChange {
  readonly stateDir: string
  readonly config: KeyStoreConfig
  readonly from: string
  readonly to: string
  readonly confirmed?: Confirmation | undefined
}

/** One login with the old password, C_SetPIN, credential file; one at a time. @throws what changePin throws */
export function changePassword(change: PasswordChange, report: (phase: string) => void): Promise<void> {
  return takeTurn(passwordTurn(change.stateDir), () => changeInTurn(change, report))
}

async function changeInTurn(change: PasswordChange, report: (phase: string) => void): Promise<void> {
  const { stateDir, config, from, to, confirmed } = change
  const guard = openPinGuard(stateDir)
  if (config.profile !== 'gemalto-safenet') {
    throw new AppError('invalid-input', 'Only the password of an HSM partition is changed here.')
  }
  const { profile, module, confPath, slot, partition } = config
  const before = await settlePending(stateDir)
  if (before !== null) refuseAfterCutOff(before)
  report('Logging in with the present password')
  try {
    await changePin(
      config,
      { from, to },
      {
        guard,
        confirmed,
        beforeChange: async ({ serial }) => {
          const named = { profile, module, slot, partition, serial }
          await keepPending(stateDir, { config: confPath === undefined ? named : { ...named, confPath }, to })
          report('Changing the password (C_SetPIN)')
        }
      }
    )
  } catch (thrown) {
    // Whatever else went wrong, the partition has the old password.
    if (!(thrown instanceof AppError && thrown.reason === changeUnanswered)) await dropPending(stateDir)
    throw thrown
  }
  await keepPassword(stateDir, profile, to)
}

/** What became of a change that was cut off; `rejected`: a login was spent on finding out that it had not happened. */
export type SettledChange = 'new' | 'old' | 'rejected' | 'unknown'

/** For the console. */
export const settledWords: Readonly<Record<SettledChange, string>> = {
  new: 'A change of the HSM password was cut off: the partition has the new one, and it is kept.',
  old: 'A change of the HSM password was cut off before it happened: the partition has the old one.',
  rejected:
    'A change of the HSM password was cut off before it happened: the partition has the old one. Finding out cost one login.',
  unknown:
    'A change of the HSM password was cut off, and the partition does not tell how it ended; it is asked again at the next start.'
}

/**
 * Settles a change that a kill has cut off: by what the guard knows, else by one login with the new password. It is the
 * rest of an action that a person began, and is asked once: a rejected one is dropped with its file.
 * @returns null when none was cut off
 * @throws AppError conflict, internal; never for what the token says
 */
export async function settlePending(stateDir: string): Promise<SettledChange | null> {
  const pending = await readPending(stateDir)
  if (pending === null) return null
  const settled = await verdictOn(stateDir, pending)
  if (settled === 'new') await keepPassword(stateDir, pending.config.profile, pending.to)
  if (settled === 'old' || settled === 'rejected') await dropPending(stateDir)
  return settled
}

async function verdictOn(stateDir: string, { config, to }: PendingPassword): Promise<SettledChange> {
  const guard = openPinGuard(stateDir)
  const known = guard.verdictOn(guardedName(config, config.serial), to)
  if (known !== null) return known === 'accepted' ? 'new' : 'old'
  const record = await readKeyStoreRecord(stateDir)
  // A library that was swapped meanwhile gets no password.
  if (record?.module === config.module && !(await isSameModule(record))) return 'unknown'
  const { login } = await proveToken(config, to, guard)
  if (login === null || !login.sent) return 'unknown'
  if (login.ok) return 'new'
  return loginOutcome(login.failure) === 'rejected' ? 'rejected' : 'unknown'
}

/** One action spends one login that may be rejected: where finding out has spent it, the change itself has to be asked for again. */
function refuseAfterCutOff(settled: SettledChange): void {
  if (settled === 'unknown') {
    throw new AppError(
      'key-store-unavailable',
      'An earlier change was cut off, and the partition does not tell how it ended.',
      {
        cure: 'Check the partition (vtl verify), then try again.'
      }
    )
  }
  if (settled === 'rejected') {
    throw new AppError(
      'pin-rejected',
      'An earlier change was cut off before it happened: the partition has its old password.',
      {
        cure: 'Enter that one as the present password and change it again.'
      }
    )
  }
}
