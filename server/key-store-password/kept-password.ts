/**
 * Where the password of the key store waits for the KMS: the 0600 credential file that step 3 wrote. A change of the
 * password that is under way stands beside it, so that a kill in between loses neither the old one nor the new one.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { credentialPath } from '../install/secrets.ts'

const path = z.string().startsWith('/')
const pendingSchema = z.strictObject({
  config: z.strictObject({
    profile: z.literal('gemalto-safenet'),
    module: path,
    confPath: path.optional(),
    slot: z.int().min(0),
    partition: z.string(),
    serial: z.string()
  }),
  /** What C_SetPIN was, or is about to be, sent. */
  to: z.string()
})

/** The partition, and the password that it may have by now. */
export type PendingPassword = z.infer<typeof pendingSchema>

/** Name of the turn (lib/keystore/turns.ts) of whatever changes the kept password: the last word must not be chance. */
export function passwordTurn(stateDir: string): string {
  return `password of ${stateDir}`
}

const pendingName = 'kms-password-pending'

/** As install/secrets.ts names the secret of the step: `<step>-<field>`. */
function passwordPath(stateDir: string, profile: KeyStoreConfig['profile']): string {
  return credentialPath(stateDir, profile === 'nss' ? 'kms-nssPassword' : 'kms-password')
}

/** null: none is kept. */
export function readPassword(stateDir: string, profile: KeyStoreConfig['profile']): Promise<string | null> {
  return readPrivateFile(passwordPath(stateDir, profile))
}

/** Swapped as a whole: a KMS that starts in this moment reads the old one or the new one. */
export async function keepPassword(
  stateDir: string,
  profile: KeyStoreConfig['profile'],
  password: string
): Promise<void> {
  await writePrivateFile(passwordPath(stateDir, profile), password)
  await dropPending(stateDir)
}

export async function keepPending(stateDir: string, pending: PendingPassword): Promise<void> {
  await writePrivateFile(credentialPath(stateDir, pendingName), JSON.stringify(pending))
}

/** Whether a change was cut off. */
export function isPending(stateDir: string): boolean {
  return existsSync(credentialPath(stateDir, pendingName))
}

/** @throws AppError conflict when the file is not ours: nobody may guess which password it held */
export async function readPending(stateDir: string): Promise<PendingPassword | null> {
  const file = credentialPath(stateDir, pendingName)
  const text = await readPrivateFile(file)
  if (text === null) return null
  try {
    return pendingSchema.parse(JSON.parse(text))
  } catch {
    // Neither the message of JSON.parse nor that of the schema may be shown: they quote what stands there.
    throw new AppError('conflict', `The file ${file} of an interrupted change of the password cannot be read.`, {
      cure: 'Remove it, then enter the password that the partition has.'
    })
  }
}

export async function dropPending(stateDir: string): Promise<void> {
  await rm(credentialPath(stateDir, pendingName), { force: true })
}
