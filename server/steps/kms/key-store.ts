/** From the answers of step 3 to the configuration of the key store, with the library of the client that is installed. */
import { AppError } from '../../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { findHsmClients } from '../../../lib/luna-client/client-discovery.ts'
import type { GemaltoAnswers, KmsAnswers } from './answers.ts'

/** @throws AppError not-found when no library was given and no HSM client is on this machine */
export async function keyStoreOf(answers: KmsAnswers): Promise<KeyStoreConfig> {
  if (answers.keyStore === 'nss') return { profile: 'nss', folder: answers.nssFolder, module: answers.library }
  const { slot, partition, serial } = answers
  return { profile: 'gemalto-safenet', ...(await clientOf(answers)), slot, partition, serial }
}

export const noClient =
  'Install the Luna client, or unpack the Data Protection on Demand client in /opt/dpod (guide: items 1 to 4), or enter the path of the library under "HSM client".'

export function pinOf(answers: KmsAnswers): string {
  return answers.keyStore === 'nss' ? answers.nssPassword : answers.password
}

/** What was typed counts; what was not is taken from the client that was found, library and folder from the same one. */
async function clientOf({
  library,
  confPath
}: GemaltoAnswers): Promise<{ module: string; confPath: string | undefined }> {
  const clients = await findHsmClients()
  const client = library === undefined ? clients[0] : clients.find(({ module }) => module === library)
  const module = library ?? client?.module
  if (module === undefined) {
    throw new AppError('not-found', 'No HSM client was found on this machine.', { cure: noClient })
  }
  return { module, confPath: confPath ?? client?.confPath ?? undefined }
}
