/** What "Change it now" of step 3 sends: the fields of the key store as they stand in the form, and the new password twice. */
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import type { Confirmation } from '../../lib/keystore/pin-rules.ts'
import { isSameClient, isSameKeyStore, isSameModule, readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { kmsAnswers } from '../steps/kms/answers.ts'
import { keyStoreOf } from '../steps/kms/key-store.ts'
import { readPassword } from './kept-password.ts'

export interface ChangeOrder {
  readonly config: KeyStoreConfig
  readonly from: string
  readonly to: string
  readonly confirmed: Confirmation
}

export type ReadChange =
  | { readonly ok: true; readonly order: ChangeOrder }
  | { readonly ok: false; readonly fields: Readonly<Record<string, string>> }

/** Of the step's answers only these say which partition is meant; the others may still be empty. */
const ofKeyStore = ['slot', 'partition', 'serial', 'library', 'confPath', 'sendAgain', 'confirmLabel'] as const

/** An empty present password stands for the kept one, if it was kept for this very partition. */
export async function readChange(stateDir: string, raw: Readonly<Record<string, unknown>>): Promise<ReadChange> {
  const to = textOf(raw, 'newPassword')
  const again = textOf(raw, 'newPasswordAgain')
  const given = Object.fromEntries(ofKeyStore.map((name) => [name, raw[name]]).filter(([, value]) => value !== ''))
  const typed = textOf(raw, 'password')
  const parsed = kmsAnswers.safeParse({
    ...given,
    keyStore: 'gemalto-safenet',
    password: typed === '' ? undecided : typed,
    // Asked for by the schema, and not by this.
    kmsHost: 'https://localhost'
  })
  const fields: Record<string, string> = {}
  for (const { path, message } of parsed.error?.issues ?? []) fields[String(path[0])] ??= message
  if (to === '') fields.newPassword = 'You must provide a value for New password.'
  else if (to !== again) fields.newPasswordAgain = 'The passwords do not match.'
  if (!parsed.success || parsed.data.keyStore !== 'gemalto-safenet') return { ok: false, fields }
  const config = await keyStoreOf(parsed.data)
  const from = typed === '' ? await keptFor(stateDir, config) : typed
  if (from === null) fields.password = 'You must provide a value for Gemalto SafeNet KeyStore Password.'
  if (from === null || Object.keys(fields).length > 0) return { ok: false, fields }
  const { sendAgain, confirmLabel } = parsed.data
  return { ok: true, order: { config, from, to, confirmed: { again: sendAgain, ...confirmLabel } } }
}

/** Stands in for a password that is not typed, so that the rest is read; never sent. */
const undecided = 'not typed'

/** A kept password goes to the partition that it was kept for, never to another library or slot. */
async function keptFor(stateDir: string, config: KeyStoreConfig): Promise<string | null> {
  const record = await readKeyStoreRecord(stateDir)
  if (record === null || !isSameKeyStore(config, record)) return null
  // A library that was not proved with it could do with it what it likes.
  if (!isSameClient(config, record) || !(await isSameModule(record))) return null
  return await readPassword(stateDir, config.profile)
}

/** The form's own names begin with an underline, so that Test and Next leave them out. */
function textOf(raw: Readonly<Record<string, unknown>>, name: string): string {
  const value = raw[name] ?? raw[`_${name}`]
  return typeof value === 'string' ? value : ''
}
