/**
 * What Next does on step 3: keys and first certificates by one opening of the key store, then the KMS, then a round trip
 * through its API. Killed anywhere and run again it comes to the same end: one master key, one CA.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { AgentAhead } from '../../../lib/keystore/agent-ahead.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { inspectNssFolder } from '../../../lib/keystore/nss-folder.ts'
import { openKeyStore } from '../../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { openKmsClient } from '../../../lib/kms-client/open-kms-client.ts'
import type { Diagnosis } from '../../checks/key-store/diagnose.ts'
import { lastEvidence } from '../../checks/key-store/evidence.ts'
import {
  isSameClient,
  isSameKeyStore,
  isSameModule,
  type KeyStoreRecord,
  readKeyStoreRecord,
  recordKeyStore,
  updateMasterKey
} from '../../checks/key-store/key-store-record.ts'
import { refusalOf } from '../../checks/key-store/refusal.ts'
import { serviceAddress } from '../../deploy/addresses.ts'
import { identityFiles, wizardIdentity } from '../../deploy/identity-files.ts'
import { ensureIdentity, identityIsGood } from '../../deploy/service-identity.ts'
import type { ApplyContext } from '../apply-context.ts'
import { serviceBase, trustFile } from '../service-plan.ts'
import type { ApplyResult } from '../step.ts'
import type { KmsAnswers } from './answers.ts'
import { findKeyRow, forgetOwnKeys, keysAreInUse } from './key-rows.ts'
import { keyStoreOf, pinOf } from './key-store.ts'
import { ensureKey, ensureServiceCa, issuedByToken } from './own-keys.ts'
import { proofFor } from './proof.ts'
import { takeAgent } from './waiting-agent.ts'

const nothing = async (): Promise<void> => {}

export async function applyKms(answers: KmsAnswers, context: ApplyContext): Promise<ApplyResult> {
  const config = await keyStoreOf(answers)
  const { host, address } = serviceAddress('kms', answers.kmsHost)
  const record = await readKeyStoreRecord(context.stateDir)
  const prepared = record !== null && (await isPrepared(config, host, record, context))
  const agent = takeAgent()
  try {
    // Just before it is used: nobody logs in where nothing has to be made.
    const proof = await proveJustBefore(answers, { config, prepared, record, context })
    if (!prepared || proof.evidence.token?.serial !== record.serial) {
      await prepare(answers, config, host, { record, proof, agent, context })
    } else {
      // All is made: what was cut off between a thing and its row in the ledger, or has no row at all, gets one.
      if (config.profile === 'nss') await context.effect('key-store', config.folder, nothing, async () => true)
      await context.effect('key', 'master', nothing)
      await context.effect('certificate-authority', 'service-ca', nothing)
      await context.effect('certificate', 'wizard', nothing)
    }
  } finally {
    agent?.drop()
  }
  await context.effect('service', 'kms', async () => {
    await context.deploy.deploy(
      { name: 'kms', config: await kmsConfiguration(answers, config, context) },
      context.report
    )
  })
  context.report('KMS: a round trip through its API')
  await proveRoundTrip(context, address)
  return {}
}

/** Keys, CA and certificates are there for this very token and library: nobody needs to log in for them. */
async function isPrepared(
  config: KeyStoreConfig,
  host: string,
  record: KeyStoreRecord,
  { stateDir, database }: ApplyContext
): Promise<boolean> {
  if (!isSameKeyStore(config, record) || !isSameClient(config, record) || !(await isSameModule(record))) return false
  const [master, ca] = await Promise.all([findKeyRow(database, 'master'), findKeyRow(database, 'service-ca')])
  if (master?.state !== 'active' || ca?.state !== 'active' || ca.certificate === null) return false
  const [kms, wizard] = await Promise.all([
    identityIsGood(identityFiles(stateDir, 'kms'), 'kms', host),
    identityIsGood(identityFiles(stateDir, 'wizard'), 'wizard', null)
  ])
  return kms && wizard
}

interface ProofRequest {
  readonly config: KeyStoreConfig
  readonly prepared: boolean
  readonly record: KeyStoreRecord | null
  readonly context: ApplyContext
}

/**
 * The whole ladder, over what is there now; with a PIN only where the token is opened anyway.
 * @throws AppError of the first rung that fails, and conflict when the library is not the one that was checked
 */
async function proveJustBefore(
  answers: KmsAnswers,
  { config, prepared, record, context: { stateDir, database, report } }: ProofRequest
): Promise<Diagnosis> {
  const proof = await proofFor(answers, async () => {
    report('Looking at the key store')
    const bound = record !== null && (await keysAreInUse(database)) ? record : null
    return { config, pin: prepared ? null : pinOf(answers), stateDir, record: bound }
  })
  const refusal = refusalOf(config, proof)
  if (refusal !== null) throw refusal
  const checked = await lastEvidence(stateDir)
  const now = proof.evidence.module
  if (checked?.module.path === now.path) {
    if (checked.module.sha256 === now.sha256) return proof
    throw new AppError('conflict', `The library ${now.path} is not the one that was checked: it has changed since.`, {
      cure: 'Look at who changed it, then Test and Next again.'
    })
  }
  return proof
}

/** Keys that protect nothing yet may be made again elsewhere; those that do stay where they are. */
async function leaveOldKeyStore(record: KeyStoreRecord, database: Pool): Promise<void> {
  if (await keysAreInUse(database)) {
    const store = `${record.label} (serial ${record.serial})`
    throw new AppError('conflict', `The keys of this install are in ${store}; they cannot be moved from here.`, {
      cure: `Choose ${store} again.`
    })
  }
  await forgetOwnKeys(database)
}

/** What making the keys needs to know of the look just before. */
interface Preparation {
  readonly record: KeyStoreRecord | null
  readonly proof: Diagnosis
  /** Loads its code while the proof is made. */
  readonly agent: AgentAhead | undefined
  readonly context: ApplyContext
}

async function prepare(
  answers: KmsAnswers,
  config: KeyStoreConfig,
  host: string,
  { record, proof, agent, context }: Preparation
): Promise<void> {
  const { stateDir, database, report } = context
  if (record !== null && !isSameKeyStore(config, record)) await leaveOldKeyStore(record, database)
  report(`Opening the key store ${config.profile === 'nss' ? config.folder : config.partition}`)
  const proved = { ...config, moduleSha256: proof.evidence.module.sha256 ?? undefined }
  // A store that is gone is never made again in silence: what its keys protect would be lost.
  const create = config.profile === 'nss' && !(await keysAreInUse(database))
  const open = () =>
    // One key after the other: a thread for each core would be started for nothing.
    openKeyStore(proved, pinOf(answers), { guard: openPinGuard(stateDir), agent, sessions: 1, create })
  const store =
    config.profile === 'nss'
      ? await context.effect(
          'key-store',
          config.folder,
          open,
          async () => !(await inspectNssFolder(config.folder)).fresh
        )
      : await open()
  try {
    if (record !== null && record.serial !== store.token.serial) await leaveOldKeyStore(record, database)
    await recordKeyStore(stateDir, config, store.token, proof.evidence)
    report(`Master key in ${store.token.label}`)
    const master = await context.effect('key', 'master', () => ensureKey(database, store, 'master'))
    await updateMasterKey(stateDir, { id: master.id, checkValue: await store.checkValue(master) })
    report(`Service CA in ${store.token.label}`)
    const ca = await context.effect('certificate-authority', 'service-ca', () =>
      ensureServiceCa(database, store, context.install)
    )
    const { ca: caFile } = identityFiles(stateDir, 'kms')
    await writePrivateFile(caFile, ca.certificate.toString())
    report('Certificates of KMS and wizard')
    await context.effect('certificate', 'kms', () => ensureIdentity(stateDir, 'kms', host, issuedByToken(ca, 'kms')))
    await context.effect('certificate', 'wizard', () =>
      ensureIdentity(stateDir, 'wizard', null, issuedByToken(ca, 'wizard'))
    )
  } finally {
    await store.close()
  }
}

async function kmsConfiguration(answers: KmsAnswers, config: KeyStoreConfig, context: ApplyContext) {
  const { stateDir, database } = context
  const record = await readKeyStoreRecord(stateDir)
  const [master, ca] = await Promise.all([findKeyRow(database, 'master'), findKeyRow(database, 'service-ca')])
  const field = answers.keyStore === 'nss' ? 'nssPassword' : 'password'
  const pinFile = await context.secretFile('kms', field)
  if (record === null || master === null || ca?.certificate == null || pinFile === undefined) {
    throw new AppError('internal', 'The key store was not prepared.')
  }
  const caFile = identityFiles(stateDir, 'kms').ca
  if (!(await isCertificate(caFile, ca.certificate))) throw new AppError('conflict', `${caFile} is not the service CA.`)
  const base = await serviceBase(
    context,
    { service: 'kms', address: answers.kmsHost, given: answers, calls: [] },
    // Its identity was made in the token just now.
    () => Promise.reject(new AppError('internal', 'The identity of the KMS is missing.'))
  )
  return {
    ...base,
    keyStore: withIdentity(config, record),
    ...(master.checkValue === null ? {} : { masterKeyCheckValue: master.checkValue }),
    ...(record.moduleSha256 === null ? {} : { moduleSha256: record.moduleSha256 }),
    pinFile,
    pinGuard: join(stateDir, 'pin-guard'),
    masterKey: master.id,
    serviceCa: { keyId: ca.id, certificate: caFile }
  }
}

function withIdentity(config: KeyStoreConfig, { serial }: KeyStoreRecord): KeyStoreConfig {
  return config.profile === 'nss' ? config : { ...config, serial }
}

async function isCertificate(file: string, der: Buffer): Promise<boolean> {
  return new X509Certificate(await readFile(file)).raw.equals(der)
}

/** As the wizard will call it from now on. */
async function proveRoundTrip(context: ApplyContext, address: string): Promise<void> {
  await trustFile(context, 'wizard', ['kms'])
  const kms = openKmsClient({ address, identity: wizardIdentity(context.stateDir) })
  try {
    const purpose = 'setup/round-trip'
    const made = await kms.newDataKey(purpose)
    const opened = await kms.unwrapDataKey(made.wrapped, purpose)
    const same = opened.equals(made.plaintext)
    opened.fill(0)
    made.plaintext.fill(0)
    if (!same) throw new AppError('deploy-failed', 'The KMS does not give back the data key that it wrapped.')
  } finally {
    await kms.close()
  }
}
