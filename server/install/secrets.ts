/**
 * Where a typed secret waits. Until the KMS lives: a 0600 credential file, because the services need it to start. From
 * then on: AES-256-GCM in MySQL under a data key that the master key wraps. Write-only: nothing shows one again.
 */
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { type NamedDataKey, seal, unseal } from '../../lib/database/sealed.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { openDataKey } from '../../lib/kms-client/data-key.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { type StepId, stepIds } from '../steps/step.ts'
import type { SecretPlace } from './boot-file.ts'

/** Steps whose secrets a service needs to start, or that come before the KMS. */
const inFiles = new Set(['database', 'kms'])
const context = 'answers'

export interface SecretKeeper {
  readonly keep: (step: string, field: string, secret: string) => Promise<SecretPlace>
  readonly open: (step: string, field: string, place: SecretPlace) => Promise<string>
}

/** A secret that was kept in a file which is not there any more: only a person has it still. */
class LostSecret extends AppError {
  constructor(step: string, field: string, file: string) {
    super('conflict', `What was typed as ${field} is not kept any more: credentials/${file} is missing.`, {
      cure: `Type it again and press Next (in an answers file: steps.${step}.${field}), in step ${stepIds.indexOf(step as StepId) + 1}: /setup/steps/${step}`
    })
  }
}

/** Null: it was kept, and is gone. */
export async function keptOrLost(opening: Promise<string>): Promise<string | null> {
  try {
    return await opening
  } catch (thrown) {
    if (thrown instanceof LostSecret) return null
    throw thrown
  }
}

export interface Vault {
  readonly database: Pool
  readonly kms: KmsClient
}

/** @param vault answers null until the KMS is deployed */
export function openSecretKeeper(stateDir: string, install: string, vault: () => Promise<Vault | null>): SecretKeeper {
  let dataKey: NamedDataKey | undefined
  const keyOf = async () => {
    if (dataKey === undefined) {
      const opened = await vault()
      if (opened === null) throw new AppError('out-of-order', 'The KMS is not deployed yet.')
      dataKey = { context, bytes: await openDataKey(opened.database, opened.kms, context) }
    }
    return dataKey
  }
  const aad = (step: string, field: string) => ({ table: 'answers', row: `${install}/${step}.${field}`, tenant: null })
  return {
    keep: async (step, field, secret) => {
      if (!inFiles.has(step)) return { sealed: seal(await keyOf(), aad(step, field), secret) }
      const file = `${step}-${field}`
      await writePrivateFile(credentialPath(stateDir, file), secret)
      return { file }
    },
    open: async (step, field, place) => {
      if ('sealed' in place) return unseal(await keyOf(), aad(step, field), place.sealed)
      const secret = await readPrivateFile(credentialPath(stateDir, place.file))
      if (secret === null) throw new LostSecret(step, field, place.file)
      return secret
    }
  }
}

export function credentialPath(stateDir: string, name: string): string {
  if (!/^[a-zA-Z0-9-]+$/.test(name)) throw new AppError('internal', `not a credential's name: ${name}`)
  return join(stateDir, 'credentials', name)
}
