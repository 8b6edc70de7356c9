/** The live checks of step 3. One probe of the key store, with one login at most, gives the whole ladder. */
import type { RowDataPacket } from 'mysql2/promise'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import type { ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { profileOf } from '../../../lib/keystore/profiles/registry.ts'
import { proveToken } from '../../../lib/keystore/prove-token.ts'
import { type Check, type CheckSurroundings, defineCheck, defineLadder, type Rung } from '../../checks/check.ts'
import { folderRungs } from '../../checks/key-store/folder-rungs.ts'
import { libraryRungs } from '../../checks/key-store/library-rungs.ts'
import { partitionRungs } from '../../checks/key-store/partition-rungs.ts'
import { type SeenKeyStore, waitingFor } from '../../checks/key-store/seen-key-store.ts'
import { useRungs } from '../../checks/key-store/use-rungs.ts'
import { hostChecks } from '../host-checks.ts'
import type { KmsAnswers } from './answers.ts'
import { keyStoreOf, noClient, pinOf } from './key-store.ts'

/** The probe has its own deadline (local 10 s, Luna 30 s, DPoD 60 s); this much more for waiting until others are done. */
const turnMs = 65_000

function keyStoreLadder(fix: string, rungs: readonly Rung<SeenKeyStore>[]): Check<KmsAnswers> {
  return defineLadder<KmsAnswers, SeenKeyStore>({
    id: 'kms.key-store',
    title: 'Key store',
    deadlineMs: (answers) => profileDeadline(answers) + turnMs,
    fix,
    observe: proveKeyStore,
    rungs: rungs.map((rung) => ({ ...rung, took: (seen) => tookFor(rung.id, seen) }))
  })
}

/** Which steps of the probe a rung is about; those not named here cost nothing of their own. */
const stepsOf: Readonly<Record<string, readonly ProbeStep[]>> = {
  'kms.library': ['file'],
  'kms.loads': ['turn', 'load', 'initialize'],
  'kms.slot-present': ['slots'],
  'kms.login': ['session', 'login'],
  'kms.mechanisms': ['mechanisms'],
  'kms.round-trips': ['aes-gcm', 'ec-p256', 'rsa-2048', 'random', 'sensitive']
}

function tookFor(rung: string, { facts }: SeenKeyStore): number {
  const steps = stepsOf[rung] ?? []
  return facts.times.filter(({ step }) => steps.includes(step)).reduce((sum, { ms }) => sum + ms, 0)
}

async function proveKeyStore(
  answers: KmsAnswers,
  around: CheckSurroundings,
  signal: AbortSignal
): Promise<SeenKeyStore> {
  const config = await keyStoreOf(answers)
  const facts = await proveToken(config, pinOf(answers), openPinGuard(around.stateDir), {
    confirmed: answers.keyStore === 'gemalto-safenet' && answers.sendAgain,
    onStep: (step) => around.progress(waitingFor(step)),
    signal
  })
  return { config, facts }
}

function profileDeadline(answers: KmsAnswers): number {
  const profile = answers.keyStore === 'nss' ? 'nss' : 'gemalto-safenet'
  const { deadlineMs } = profileOf({ profile, folder: '', module: '', slot: 0, partition: '' })
  return deadlineMs(answers.library ?? '/usr/safenet/')
}

const hsm = keyStoreLadder(noClient, [...libraryRungs, ...partitionRungs, ...useRungs])
const software = keyStoreLadder('Install the Debian package libnss3, or give the path of libsoftokn3.so.', [
  ...folderRungs,
  ...libraryRungs,
  ...useRungs
])

const keyStoreCheck: Check<KmsAnswers> = {
  ids: [...new Set([...hsm.ids, ...software.ids])],
  run: (answers, around, watch) => (answers.keyStore === 'nss' ? software : hsm).run(answers, around, watch)
}

const masterKeyCheck = defineCheck<KmsAnswers, { known: boolean; reuse: boolean } | null>({
  id: 'kms.master-key',
  title: 'Master key',
  deadlineMs: 5000,
  fix: 'Look at the database.',
  field: 'masterKey',
  observe: async (answers, { services }) => {
    if (services.database === undefined) return null
    const [rows] = await services.database.query<RowDataPacket[]>(
      "SELECT 1 FROM kms_keys WHERE purpose = 'master' AND state = 'active'"
    )
    return { known: rows.length > 0, reuse: answers.masterKey === 'use-existing' }
  },
  outcomes: [
    { verdict: 'skip', when: (seen) => seen === null, say: 'The database is not there yet.' },
    {
      verdict: 'fail',
      when: (seen) => seen?.reuse === true && !seen.known,
      say: 'This install has no master key yet.',
      fix: 'Choose to generate one.',
      field: 'masterKey'
    },
    {
      verdict: 'info',
      when: (seen) => seen?.known === true,
      say: 'This install has a master key already; it is used, no other is made.'
    },
    { verdict: 'pass', say: 'A master key will be made: AES-256, sensitive, not extractable.' }
  ]
})

export const kmsChecks: readonly Check<KmsAnswers>[] = [
  keyStoreCheck,
  masterKeyCheck,
  ...hostChecks<KmsAnswers>({ service: 'kms', field: 'kmsHost', addressOf: (answers) => answers.kmsHost })
]
