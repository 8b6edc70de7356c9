/** The wizard's own connection to the KMS, opened when it is first needed. */
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import { serviceAddress } from '../deploy/addresses.ts'
import { wizardIdentity } from '../deploy/identity-files.ts'
import type { AnswersByStep } from './progress.ts'

export interface WizardKms {
  /** @throws AppError out-of-order before the KMS step is done */
  readonly client: () => Promise<KmsClient>
  /** The same; null before the KMS step is done. */
  readonly deployed: () => Promise<KmsClient | null>
  /** Until it is asked for again: identity and address may be others then. */
  readonly close: () => Promise<void>
}

export function wizardKms(stateDir: string, answers: () => Promise<AnswersByStep>): WizardKms {
  let client: KmsClient | null = null
  const deployed = async () => {
    const kms = (await answers()).get('kms')
    if (kms?.appliedAt == null) return null
    client ??= openKmsClient({
      address: serviceAddress('kms', String(kms.values.kmsHost)).address,
      identity: wizardIdentity(stateDir)
    })
    return client
  }
  return {
    client: async () => {
      const opened = await deployed()
      if (opened === null) throw new AppError('out-of-order', 'The KMS is not deployed yet.')
      return opened
    },
    deployed,
    close: async () => {
      await client?.close()
      client = null
    }
  }
}
