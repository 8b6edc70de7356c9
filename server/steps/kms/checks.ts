/** The live checks of step 3. One probe of the key store, with one login at most, gives the whole ladder. */
import type { RowDataPacket } from 'mysql2/promise'
import type { ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { keyStoreProfiles } from '../../../lib/keystore/profiles/registry.ts'
import { type Check, type CheckSurroundings, defineCheck, defineDiagnosis } from '../../checks/check.ts'
import { diagnoseKeyStore } from '../../checks/key-store/diagnose.ts'
import { keepEvidence } from '../../checks/key-store/evidence.ts'
import { type KeyStoreRecord, readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { rungIds, rungsFor } from '../../checks/key-store/rungs.ts'
import { waitingFor } from '../../checks/key-store/seen-key-store.ts'
import { hostChecks } from '../host-checks.ts'
import type { KmsAnswers } from './answers.ts'
import { keysAreInUse } from './key-rows.ts'
import { keyStoreOf, noClient, pinOf } from './key-store.ts'
import { keepProof } from './proof.ts'

/** The probe has its own deadline (local 10 s, Luna 30 s, DPoD 60 s); this much more for waiting until others are done. */
const turnMs = 65_000

const keyStoreCheck = defineDiagnosis<KmsAnswers>({
  id: 'kms.key-store',
  title: 'Key store',
  ids: rungIds,
  rungs: (answers) => rungsFor({ profile: answers.keyStore }),
  deadlineMs: (answers) => profileDeadline(answers) + turnMs,
  fix: ({ keyStore }) => (keyStore === 'nss' ? noNss : noClient),
  find: async (answers, around, { signal, watch }) => {
    const { stateDir } = around
    const question = {
      config: await keyStoreOf(answers),
      pin: pinOf(answers),
      stateDir,
      confirmed: confirmationOf(answers),
      record: await keysInUse(around)
    }
    const step = (now: ProbeStep) => around.progress(waitingFor(now))
    const proof = await diagnoseKeyStore(question, { finding: watch.finding, step, signal })
    await keepEvidence(stateDir, proof.evidence)
    keepProof(answers, proof)
    return proof.findings
  }
})

function confirmationOf(answers: KmsAnswers) {
  return answers.keyStore === 'nss' ? false : { again: answers.sendAgain, ...answers.confirmLabel }
}

/** The key store that must stay: keys in it protect something. */
async function keysInUse({ stateDir, services }: CheckSurroundings): Promise<KeyStoreRecord | null> {
  if (services.database === undefined || !(await keysAreInUse(services.database))) return null
  return await readKeyStoreRecord(stateDir)
}

const noNss = 'Install the Debian package libnss3, or give the path of libsoftokn3.so.'

function profileDeadline({ keyStore, library }: KmsAnswers): number {
  return keyStoreProfiles[keyStore].deadlineMs(library ?? '/usr/safenet/')
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
