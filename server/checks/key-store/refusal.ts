/** A diagnosis that failed, as the product's one error: for those who cannot go on without the key store. */
import { AppError, type ErrorCode } from '../../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { callRefused, loginRefused } from '../../../lib/keystore/open-problems.ts'
import { profileOf } from '../../../lib/keystore/profiles/registry.ts'
import type { Diagnosis } from './diagnose.ts'

/** What a failed rung means for the caller; those not named here say that the token cannot do what is needed. */
const codeOf: Readonly<Record<string, ErrorCode>> = {
  'kms.library': 'key-store-unavailable',
  'kms.architecture': 'key-store-unavailable',
  'kms.loads': 'key-store-unavailable',
  'kms.initialises': 'key-store-unavailable',
  'kms.slot-present': 'key-store-unavailable',
  'kms.token-present': 'key-store-unavailable',
  'kms.token-initialised': 'conflict',
  'kms.partition-label': 'conflict',
  'kms.identity': 'conflict',
  'kms.same-master-key': 'conflict',
  'kms.pin-state': 'pin-rejected',
  'kms.login': 'key-store-unavailable',
  'kms.role': 'pin-rejected'
}

/** Null when nothing failed. */
export function refusalOf(config: KeyStoreConfig, { findings, facts }: Diagnosis): AppError | null {
  const failed = findings.find(({ verdict }) => verdict === 'fail')
  if (failed === undefined) return null
  const { login, choice } = facts
  if (failed.id === 'kms.login' && choice !== null && login?.refusal) return loginRefused(login.refusal, choice)
  if (failed.id === 'kms.login' && login?.failure) return callRefused(profileOf(config), login.failure)
  return new AppError(
    codeOf[failed.id] ?? 'check-failed',
    failed.say,
    failed.cure === undefined ? {} : { cure: failed.cure }
  )
}
