/** The live checks of step 8. */
import { X509Certificate } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { probeToken } from '../../../lib/keystore/probe.ts'
import { type Check, defineCheck } from '../../checks/check.ts'
import { type KeyStoreRecord, keyStoreFromRecord, readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import { hostChecks } from '../host-checks.ts'
import type { DaeAnswers } from './answers.ts'

/** What each CA key takes; of alternatives one is enough (a Luna partition in FIPS mode makes RSA keys another way). */
const takes: Readonly<Record<DaeAnswers['caKey'], readonly (readonly number[])[]>> = {
  'EC-P256': [[0x1040], [0x1041]],
  'EC-P384': [[0x1040], [0x1041]],
  'RSA-3072': [[0x0000, 0x80000143], [0x0001]]
}

/**
 * An HSM's library takes seconds to start, and what its token offers is not lost by the minute. What it did not offer is asked for
 * again: a policy may have been changed for it.
 */
const provedWithinMs = 10 * 60_000

interface SeenCaKey {
  readonly algorithm: string
  /** null: the key store could not be asked; `problem` says why. */
  readonly offered: boolean | null
  readonly label: string
  readonly problem: string
}

const caKey = defineCheck<DaeAnswers, SeenCaKey | null>({
  id: 'dae.ca-key',
  title: 'CA key',
  deadlineMs: 65_000,
  field: 'caKey',
  fix: 'Look at the status of the KMS.',
  observe: async ({ caKey: algorithm }, { stateDir, progress }, signal) => {
    const record = await readKeyStoreRecord(stateDir)
    if (record === null) return null
    const proved = justProved(record)
    if (proved !== null && offers(proved, algorithm)) {
      return { algorithm, offered: true, label: record.label, problem: '' }
    }
    progress(`C_GetMechanismList of ${record.label}`)
    // Without a login: what a token offers is public.
    const { mechanisms, stopped } = await probeToken(keyStoreFromRecord(record), { signal })
    const offered = mechanisms.length === 0 ? null : offers(mechanisms, algorithm)
    const problem = stopped === null ? '' : `the library stopped (${stopped.why} in ${stopped.step})`
    return { algorithm, offered, label: record.label, problem }
  },
  outcomes: [
    { verdict: 'skip', when: (seen) => seen === null, say: 'No key store was opened yet.' },
    {
      verdict: 'fail',
      when: (seen) => seen?.offered === null,
      say: (seen) => `The key store could not be asked for its mechanisms: ${seen?.problem || 'it lists none'}.`,
      fix: 'Run `vtl verify`, and the check of the KMS Deployment step.'
    },
    {
      verdict: 'fail',
      when: (seen) => seen?.offered === false,
      say: (seen) => `${seen?.label} does not offer ${seen?.algorithm} keys.`,
      fix: 'Choose another CA key.',
      field: 'caKey',
      offer: { label: 'Use EC P-256', values: { caKey: 'EC-P256' } }
    },
    { verdict: 'pass', say: (seen) => `${seen?.label} offers ${seen?.algorithm} keys.` }
  ]
})

type Mechanisms = readonly { readonly number: number }[]

function offers(mechanisms: Mechanisms, algorithm: DaeAnswers['caKey']): boolean {
  const numbers = new Set(mechanisms.map(({ number }) => number))
  return takes[algorithm].every((choices) => choices.some((number) => numbers.has(number)))
}

/** What the proof saw with which the KMS step opened this very token. Null: none, or too long ago. */
function justProved({ evidence }: KeyStoreRecord): Mechanisms | null {
  if (evidence === null) return null
  const age = Date.now() - Date.parse(evidence.at)
  return age >= 0 && age < provedWithinMs ? evidence.mechanisms : null
}

interface SeenAuthority {
  /** Of the CA that the tenant has already; null: none. */
  readonly subject: string | null
}

const existingCa = defineCheck<DaeAnswers, SeenAuthority | null>({
  id: 'dae.ca',
  title: 'Device CA',
  deadlineMs: 5000,
  fix: 'Look at the database.',
  observe: async (_answers, { services, earlier }) => {
    if (services.database === undefined) return null
    const subject = await tenantCaSubject(services.database, String(earlier.account?.tenant ?? ''))
    return { subject }
  },
  outcomes: [
    { verdict: 'skip', when: (seen) => seen === null, say: 'The database is not there yet.' },
    {
      verdict: 'info',
      when: (seen) => seen?.subject != null,
      say: (seen) => `The tenant has a device CA already: ${seen?.subject}. It is used, no other is made.`
    },
    { verdict: 'pass', say: 'A device CA will be made; its key stays in the key store.' }
  ]
})

export const daeChecks: readonly Check<DaeAnswers>[] = [
  caKey,
  existingCa,
  ...hostChecks<DaeAnswers>({ service: 'dae', field: 'daeHost', addressOf: (answers) => answers.daeHost })
]

async function tenantCaSubject(database: Pool, tenant: string): Promise<string | null> {
  const [rows] = await database.query<RowDataPacket[]>(
    'SELECT certificate FROM certificate_authorities WHERE tenant = ? ORDER BY created_at DESC LIMIT 1',
    [tenant]
  )
  const der: unknown = rows[0]?.certificate
  return Buffer.isBuffer(der) ? new X509Certificate(der).subject.replaceAll('\n', ', ') : null
}
