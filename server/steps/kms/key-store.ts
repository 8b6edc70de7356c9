/** From the answers of step 3 to the configuration of the key store, with the library of the client that is installed. */
import { existsSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { gemaltoSafenet } from '../../../lib/keystore/profiles/gemalto-safenet.ts'
import type { KmsAnswers } from './answers.ts'

/** @throws AppError not-found when no library was given and no HSM client is on this machine */
export async function keyStoreOf(answers: KmsAnswers): Promise<KeyStoreConfig> {
  const { library } = answers
  if (answers.keyStore === 'nss') return { profile: 'nss', folder: answers.nssFolder, module: library }
  const { slot, partition, confPath } = answers
  const module = library ?? (await installedLibrary())
  if (module === null) {
    throw new AppError('not-found', 'No HSM client was found on this machine.', { cure: noClient })
  }
  return { profile: 'gemalto-safenet', module, confPath, slot, partition }
}

export const noClient =
  'Install the Luna client, or unpack the Data Protection on Demand client in /opt/dpod (guide: items 1 to 4), or enter the path of the library under "HSM client".'

export function pinOf(answers: KmsAnswers): string {
  return answers.keyStore === 'nss' ? answers.nssPassword : answers.password
}

async function installedLibrary(): Promise<string | null> {
  for (const place of gemaltoSafenet.libraryPaths) {
    if (!place.includes('*')) {
      if (existsSync(place)) return place
      continue
    }
    for await (const found of glob(place)) return found
  }
  return null
}
