/**
 * Which key store this install has: identity, not position. Written when it was opened for the first time; what is
 * validated later, and what the KMS opens, is this one.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../../../lib/config/private-file.ts'
import { inspectModuleFile } from '../../../lib/keystore/elf.ts'
import type { KeyStoreConfig, TokenIdentity } from '../../../lib/keystore/keystore.ts'
import { type KeyStoreEvidence, keyStoreEvidence } from './evidence.ts'

const recordSchema = z.strictObject({
  profile: z.enum(['gemalto-safenet', 'nss']),
  /** Path of the library; null: the first known place of NSS. */
  module: z.string().nullable(),
  /** SHA-256 of the library as it was validated; null when NSS was found by itself. */
  moduleSha256: z.string().nullable(),
  confPath: z.string().nullable(),
  folder: z.string().nullable(),
  slot: z.int(),
  label: z.string(),
  serial: z.string(),
  model: z.string(),
  firmware: z.string(),
  /** Which master key is in it; null: none was made yet, or before check values were kept. */
  masterKey: z.strictObject({ id: z.string(), checkValue: z.string() }).nullable().default(null),
  /** Of the proof just before it was used. */
  evidence: keyStoreEvidence.nullable().default(null)
})

export type KeyStoreRecord = z.infer<typeof recordSchema>

const pathOf = (stateDir: string) => join(stateDir, 'key-store.json')

/** null: none was opened yet. @throws AppError internal when it is damaged */
export function readKeyStoreRecord(stateDir: string): Promise<KeyStoreRecord | null> {
  const cure =
    'Put key-store.json back from a copy of the folder, or restore the install from a backup (keyscaler restore).'
  return readPrivateJson(pathOf(stateDir), recordSchema, cure)
}

/** @param evidence of the proof that came before; null when there was none */
export async function recordKeyStore(
  stateDir: string,
  config: KeyStoreConfig,
  token: TokenIdentity,
  evidence: KeyStoreEvidence | null
): Promise<void> {
  const module = config.module ?? null
  const { slot, label, serial, model, firmware } = token
  const record: KeyStoreRecord = {
    profile: config.profile,
    module,
    moduleSha256: module === null ? null : (await inspectModuleFile(module)).sha256,
    confPath: config.profile === 'nss' ? null : (config.confPath ?? null),
    folder: config.profile === 'nss' ? config.folder : null,
    slot,
    label,
    serial,
    model,
    firmware,
    masterKey: null,
    evidence
  }
  await write(stateDir, record)
}

/** The master key that is in the key store on record, by which it is known again. */
export async function updateMasterKey(stateDir: string, masterKey: KeyStoreRecord['masterKey']): Promise<void> {
  const record = await readKeyStoreRecord(stateDir)
  if (record !== null) await write(stateDir, { ...record, masterKey })
}

async function write(stateDir: string, record: KeyStoreRecord): Promise<void> {
  await writePrivateFile(pathOf(stateDir), `${JSON.stringify(record, null, 2)}\n`)
}

/** "HSMoDnFIPS (serial 1234)", for people. */
export function storeName({ profile, label, serial, folder }: KeyStoreRecord): string {
  return profile === 'nss' ? `the software key store ${folder}` : `${label} (serial ${serial})`
}

/** The answers mean the key store that is on record, as far as names go: the serial is seen only in the token. */
export function isSameKeyStore(config: KeyStoreConfig, record: KeyStoreRecord): boolean {
  if (config.profile !== record.profile) return false
  return config.profile === 'nss' ? config.folder === record.folder : config.partition === record.label
}

/** They name the same client too: an update may have moved it, and the token stays the same. */
export function isSameClient(config: KeyStoreConfig, record: KeyStoreRecord): boolean {
  const confPath = config.profile === 'nss' ? null : (config.confPath ?? null)
  return (config.module ?? null) === record.module && confPath === record.confPath
}

/** The library on record is still the file that was proved; true when it was found by itself. */
export async function isSameModule({ module, moduleSha256 }: KeyStoreRecord): Promise<boolean> {
  return module === null || moduleSha256 === null || (await inspectModuleFile(module)).sha256 === moduleSha256
}

/** The key store that is on record, to be asked again without new answers. */
export function keyStoreFromRecord(record: KeyStoreRecord): KeyStoreConfig {
  const { profile, module, confPath, folder, slot, label, serial } = record
  if (profile === 'nss') return { profile, module: module ?? undefined, folder: folder ?? '' }
  return { profile, module: module ?? '', confPath: confPath ?? undefined, slot, partition: label, serial }
}
