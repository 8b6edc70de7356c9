/**
 * What the install record says: what was answered (no secret), what the checks saw and when, versions, keys by their ids,
 * certificates by their fingerprints, and the hash of the plan: `keyscaler plan` of the exported answers has the same one
 * as long as nothing has moved.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { arch, hostname, release } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsKey } from '../../lib/kms-client/kms-client.ts'
import { fingerprint } from '../../lib/x509/fingerprint.ts'
import manifest from '../../package.json' with { type: 'json' }
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { StoredAnswers } from './boot-file.ts'
import type { Install } from './install.ts'

const text = z.string()
const textOrNull = text.nullable()

/** A record of another version is not read. */
export const recordSchema = z.object({
  type: z.literal('keyscaler install record'),
  version: z.literal(1),
  install: text,
  finishedAt: text,
  recordedAt: text,
  product: z.object({ version: text, node: text, system: text, host: text }),
  planHash: text,
  steps: z.array(
    z.object({
      id: text,
      title: text,
      revision: z.int(),
      by: text,
      answeredAt: text,
      appliedAt: textOrNull,
      answers: z.record(text, text),
      /** Names of the fields whose secrets are kept. */
      secretsKept: z.array(text),
      checks: z.array(
        z.object({
          id: text,
          title: text,
          verdict: text,
          say: text,
          /** When it was made; null in a record of a version that did not say so. */
          at: textOrNull.default(null),
          ms: z.number(),
          skipped: textOrNull
        })
      )
    })
  ),
  keyStore: z.object({
    profile: text,
    label: text,
    serial: text,
    model: text,
    firmware: text,
    module: textOrNull,
    moduleSha256: textOrNull
  }),
  keys: z.array(
    z.object({
      id: text,
      purpose: text,
      tenant: textOrNull,
      label: text,
      algorithm: text,
      version: z.int(),
      state: text,
      checkValue: textOrNull
    })
  ),
  certificates: z.array(z.object({ name: text, subject: text, notAfter: text, sha256: text })),
  services: z.array(z.object({ name: text, address: text, state: text })),
  /** Its signature is the first one. */
  signingKey: z.object({ id: text, publicKey: text })
})
export type InstallRecord = z.infer<typeof recordSchema>

/** @throws AppError out-of-order while setup is not finished, service-unavailable without the KMS */
export async function recordOf(
  install: Install,
  signingKey: InstallRecord['signingKey'],
  keys: readonly KmsKey[]
): Promise<InstallRecord> {
  const { stateDir, steps } = install
  const finishedAt = install.finishedAt()
  const keyStore = await readKeyStoreRecord(stateDir)
  if (finishedAt === null || keyStore === null) throw new AppError('out-of-order', 'Setup is not finished.')
  const [answers, plan, statuses] = await Promise.all([install.answers(), install.plan({}), install.target.status()])
  const { profile, label, serial, model, firmware, module, moduleSha256 } = keyStore
  return {
    type: 'keyscaler install record',
    version: 1,
    install: install.id,
    finishedAt,
    recordedAt: new Date().toISOString(),
    product: {
      version: manifest.version,
      node: process.version,
      system: `Linux ${release()} ${arch()}`,
      host: hostname()
    },
    planHash: plan.hash,
    steps: steps.flatMap(({ id, title }) => {
      const stored = answers.get(id)
      return stored === undefined ? [] : [{ id, title, ...asRecorded(stored) }]
    }),
    keyStore: { profile, label, serial, model, firmware, module, moduleSha256 },
    keys: keys.map(({ id, purpose, tenant, label: name, algorithm, version, state, checkValue }) => {
      return { id, purpose, tenant, label: name, algorithm, version, state, checkValue }
    }),
    certificates: await certificatesIn(join(stateDir, 'tls')),
    services: statuses.map(({ name, address, state }) => ({ name, address, state })),
    signingKey
  }
}

function asRecorded({ revision, actor, at, appliedAt, values, secrets, findings }: StoredAnswers) {
  return {
    revision,
    by: actor,
    answeredAt: at,
    appliedAt,
    answers: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, shortened(String(value))])),
    secretsKept: Object.keys(secrets),
    checks: findings.map(({ id, title = '', verdict = '', say = '', at: told, ms = 0, skipped }) => ({
      id,
      title: String(title),
      verdict: String(verdict),
      say: String(say),
      // Kept by a version that did not time its checks: answers are kept as soon as the last of them is made.
      at: typeof told === 'string' ? told : at,
      ms: Number(ms),
      skipped: typeof skipped === 'string' ? skipped : null
    }))
  }
}

const longest = 200

/** A certificate or a licence is told by its digest: the record stays readable. */
function shortened(value: string): string {
  if (value.length <= longest) return value
  return `${value.length} characters, SHA-256 ${createHash('sha256').update(value).digest('hex')}`
}

async function certificatesIn(folder: string): Promise<InstallRecord['certificates']> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.crt')).sort()
  return Promise.all(
    names.map(async (name) => {
      const certificate = new X509Certificate(await readFile(join(folder, name)))
      const { subject, validToDate } = certificate
      return { name, subject, notAfter: validToDate.toISOString(), sha256: fingerprint(certificate) }
    })
  )
}
