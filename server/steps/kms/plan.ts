/** "What Next will do" on step 3, from the answers so far. */
import { addressProblem, serviceAddress } from '../../deploy/addresses.ts'
import type { KmsAnswers } from './answers.ts'

export function kmsPlan(answers: Partial<KmsAnswers>): readonly string[] {
  const store = storeName(answers)
  const verb = answers.masterKey === 'use-existing' ? 'Use the existing' : 'Create (or adopt)'
  return [
    `${verb} master key, AES-256, in ${store}`,
    `Create (or adopt) the key of the internal service CA, EC P-256, in ${store}, and its certificate`,
    ...(answers.certificate === undefined ? ['Issue the certificate of the KMS from the internal CA'] : []),
    `Deploy the KMS at ${placeOf(answers)} and wait for a round trip through its API`
  ]
}

function storeName(answers: Partial<KmsAnswers>): string {
  if (answers.keyStore === 'nss') return `the software key store ${answers.nssFolder ?? ''}`.trimEnd()
  return ('partition' in answers ? answers.partition : undefined) ?? 'the partition'
}

function placeOf({ kmsHost }: Partial<KmsAnswers>): string {
  return kmsHost === undefined || addressProblem(kmsHost) !== null
    ? 'its address'
    : serviceAddress('kms', kmsHost).address
}
