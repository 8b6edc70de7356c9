/** `records/`: one signed record for each time that setup was finished; an older one is never replaced. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import type { Install } from './install.ts'

const folderOf = (stateDir: string) => join(stateDir, 'records')

/**
 * Signs and keeps the record of an install that is finished, where there is none of this time yet.
 * @returns its path; null while setup is open
 * @throws AppError service-unavailable when the KMS does not answer: run again, it is made then
 */
export async function keepRecord(install: Install): Promise<string | null> {
  const { stateDir } = install
  const finishedAt = install.finishedAt()
  if (finishedAt === null) return null
  const path = join(folderOf(stateDir), `${finishedAt.replaceAll(/[:.]/g, '-')}.json`)
  if ((await readPrivateFile(path)) !== null) return path
  const account = await install.storedAnswers('account')
  if (account === undefined) return null
  const kms = await install.kms()
  // The last step has made it (steps/complete); an install of before that gets it here.
  const signingKey = await kms.createSigningKey(String(account.values.tenant))
  const { keyId: id, publicKey } = signingKey
  const [{ recordOf }, { signRecord }] = await loadRecord()
  const record = await recordOf(install, { id, publicKey }, await kms.listKeys())
  const { certificate, key, ca } = identityFiles(stateDir, 'wizard')
  const [ownCertificate, ownKey, caCertificate] = await Promise.all(
    [certificate, key, ca].map((file) => readFile(file, 'utf8'))
  )
  if (ownCertificate === undefined || ownKey === undefined || caCertificate === undefined) {
    throw new AppError('internal', 'The identity of the wizard is missing.')
  }
  const wizard = { certificate: ownCertificate, key: ownKey, ca: caCertificate }
  const signed = await signRecord(record, { kms, signingKey, wizard })
  await writePrivateFile(path, `${JSON.stringify(signed, null, 2)}\n`)
  return path
}

/** What makes a record: nearly every start finds it made. */
export function loadRecord() {
  return Promise.all([import('./record.ts'), import('./record-signature.ts')])
}

/** The newest one, as it was signed; null: none was made yet. */
export async function latestRecord(stateDir: string): Promise<string | null> {
  const names = (await readdir(folderOf(stateDir)).catch(() => [])).filter((name) => name.endsWith('.json')).sort()
  const newest = names.at(-1)
  return newest === undefined ? null : readPrivateFile(join(folderOf(stateDir), newest))
}
