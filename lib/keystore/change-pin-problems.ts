/** What is wrong with a change of the password: before anything is sent, and what C_SetPIN says. */
import { AppError } from '../errors/app-error.ts'
import type { PinChange } from './change-pin.ts'
import type { CallFailure } from './ckr-error.ts'
import { callRefused } from './open-problems.ts'
import { type KeyStoreProfile, pinProblem } from './profiles/profile.ts'

/** @throws AppError invalid-input, with the field's name of the new password where that is what is wrong */
export function refuseBadChange(profile: KeyStoreProfile, { from, to }: PinChange): void {
  if (!profile.hardware) {
    throw new AppError('invalid-input', 'Only the password of an HSM partition is changed here.')
  }
  const old = pinProblem(profile, from)
  if (old !== null) throw new AppError('invalid-input', old, { fields: { password: old } })
  const problem = from === to ? 'The new password is the one that is changed.' : pinProblem(profile, to)
  if (problem !== null) throw new AppError('invalid-input', problem, { fields: { newPassword: problem } })
}

/** CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_TOO_WEAK: from C_SetPIN they are about the new one; the old one was just proved. */
const badNewPin: ReadonlySet<number> = new Set([0xa1, 0xa2, 0x1b8])

export function isAboutNewPin(failure: CallFailure | null): boolean {
  return failure?.code != null && badNewPin.has(failure.code)
}

export function changeRefused(profile: KeyStoreProfile, failure: CallFailure): AppError {
  if (!isAboutNewPin(failure)) return callRefused(profile, failure)
  const say = `The partition does not take the new password: it is too short, too long, too simple or has a character that is not allowed (${failure.ckr} from ${failure.call}).`
  return new AppError('invalid-input', say, { fields: { newPassword: say } })
}
