/**
 * A new key for a tenant's device CA, under the same name (RFC 4210 4.4, RFC 7030 4.1.3): made and certified by the KMS, then told to the
 * DAE by its tables, all in one transaction. Asked again for the same key it is the same successor: cut off anywhere, the next
 * time finishes it. Devices come over by /simplereenroll; what the old key has issued is good until it ends.
 */
import { X509Certificate } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow, withTransaction } from '../../../lib/database/pool.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { CaSuccession, KmsClient, KmsKey } from '../../../lib/kms-client/kms-client.ts'

export interface SuccessionOrder {
  /** CKA_ID of the CA key that is to be followed. */
  readonly keyId: string
  /** Life of the new CA certificate; absent: as long as the old one's. */
  readonly days?: number | undefined
  /** From when on the new key issues; devices are told of it at once. Absent: from now on. */
  readonly issuesFrom?: Date | undefined
}

export interface Succession {
  readonly tenant: string
  readonly keyId: string
  readonly certificate: X509Certificate
  /** Null: from the moment that it was written. */
  readonly issuesFrom: Date | null
}

interface SuccessionGround {
  readonly database: Pool
  readonly kms: Pick<KmsClient, 'succeedTenantCa'>
  readonly report: (line: string) => void
}

/** @throws AppError not-found when the DAE has no such CA, conflict when the KMS's successor is not its; what the KMS says */
export async function succeedDeviceCa(
  { database, kms, report }: SuccessionGround,
  { keyId, days, issuesFrom }: SuccessionOrder
): Promise<Succession> {
  const old = await caOf(database, keyId)
  report(`The next key of the device CA of ${old.tenant} …`)
  const made = await kms.succeedTenantCa(keyId, days ?? wholeDays(old.certificate))
  const certificate = provedSuccessor(old.certificate, made)
  report('It is in the key store, and old and new have signed each other. The DAE is told …')
  const since = await withTransaction(database, async (connection) => {
    await connection.query(
      `INSERT INTO certificate_authorities (key_id, tenant, certificate, device_days, created_at, issues_from)
       VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE issues_from = COALESCE(VALUES(issues_from), issues_from)`,
      [made.keyId, old.tenant, certificate.raw, old.deviceDays, utcNow(), issuesFrom ? utcNow(issuesFrom) : null]
    )
    // The KMS signs these anew each time; devices keep what they were given first.
    await connection.query(
      `INSERT INTO ca_key_updates (subject_key, issuer_key, tenant, certificate) VALUES (?, ?, ?, ?), (?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE tenant = VALUES(tenant)`,
      [
        ...[made.keyId, keyId, old.tenant, new X509Certificate(made.newWithOld).raw],
        ...[keyId, made.keyId, old.tenant, new X509Certificate(made.oldWithNew).raw]
      ]
    )
    const [[row]] = await connection.query<RowDataPacket[]>(
      `SELECT DATE_FORMAT(issues_from, '%Y-%m-%dT%H:%i:%s.%fZ') AS since FROM certificate_authorities WHERE key_id = ?`,
      [made.keyId]
    )
    return row?.since == null ? null : new Date(String(row.since))
  })
  return { tenant: old.tenant, keyId: made.keyId, certificate, issuesFrom: since }
}

/** The DAE reads its tables again every ten seconds. */
export const takenUpWithinMs = 15_000

/** @throws AppError conflict while the DAE issues by this key: its successor was not told to it yet, or its day has not come */
export async function refuseIssuingKey(database: Pool, { id, label }: Pick<KmsKey, 'id' | 'label'>): Promise<void> {
  // As the DAE chooses (services/dae/authority.ts).
  const [[issuing]] = await database.query<RowDataPacket[]>(
    `SELECT key_id FROM certificate_authorities WHERE tenant = (SELECT tenant FROM certificate_authorities WHERE key_id = ?)
     AND (issues_from IS NULL OR issues_from <= ?) ORDER BY created_at DESC, key_id LIMIT 1`,
    [id, utcNow(new Date(Date.now() - takenUpWithinMs))]
  )
  if (issuing?.key_id !== id) return
  throw new AppError('conflict', `The DAE issues device certificates by "${label}" still.`, {
    cure: `Run keyscaler keys succeed ${id}, and wait for the day from which its successor issues.`
  })
}

async function caOf(database: Pool, keyId: string) {
  const [[row]] = await database.query<RowDataPacket[]>(
    'SELECT tenant, certificate, device_days FROM certificate_authorities WHERE key_id = ?',
    [keyId]
  )
  if (row === undefined) {
    throw new AppError('not-found', `There is no device CA with the key ${keyId}.`, { cure: 'keyscaler keys list' })
  }
  const certificate = new X509Certificate(row.certificate as Buffer)
  return { tenant: String(row.tenant), certificate, deviceDays: Number(row.device_days) }
}

/** What devices will trust is looked at before it is told to them: same name, its own key, and each leads to the other. */
function provedSuccessor(old: X509Certificate, made: CaSuccession): X509Certificate {
  const [next, newWithOld, oldWithNew] = [made.certificate, made.newWithOld, made.oldWithNew].map(
    (pem) => new X509Certificate(pem)
  )
  const leads =
    next !== undefined &&
    next.subject === old.subject &&
    next.verify(next.publicKey) &&
    newWithOld?.verify(old.publicKey) === true &&
    oldWithNew?.verify(next.publicKey) === true &&
    sameKey(newWithOld, next) &&
    sameKey(oldWithNew, old)
  if (!leads)
    throw new AppError('conflict', 'The KMS answered certificates that do not lead from one key to the other.')
  return next
}

function sameKey(one: X509Certificate, other: X509Certificate): boolean {
  const spki = ({ publicKey }: X509Certificate) => publicKey.export({ format: 'der', type: 'spki' })
  return spki(one).equals(spki(other))
}

function wholeDays({ validFromDate, validToDate }: X509Certificate): number {
  return Math.max(1, Math.round((validToDate.getTime() - validFromDate.getTime()) / 86_400_000))
}
