/**
 * The rows of an enrolment. First a claim: serial stored and registration held, before anything is signed, so that one
 * secret never has two signatures. Then one transaction: registration used, device, certificate, event.
 */
import { randomUUID, X509Certificate } from 'node:crypto'
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import type { Registration } from './registrations.ts'

export interface CertificateRecord {
  /**
   * Holds the registration for one enrolment. @returns the serial to sign with
   * @throws AppError conflict while another one is on its way, or when it was used or replaced meanwhile
   */
  readonly claim: (registration: Registration, caKeyId: string) => Promise<string>
  /** @throws AppError conflict when the claim is no longer ours */
  readonly complete: (registration: Registration, serial: string, certificate: X509Certificate) => Promise<void>
  /** After a failure: the serial is discarded, the registration free. Changes nothing that was completed. Never throws. */
  readonly giveUp: (registration: Registration, serial: string) => Promise<void>
  /** What the registration was used for. */
  readonly issued: (registration: Registration) => Promise<X509Certificate | null>
}

/** Longer than an enrolment may take: after it, the claim of a killed DAE holds nobody up. */
export const claimMs = 10_000

export function openCertificateRecord(
  database: Pool,
  { tenant, deviceTopic }: { readonly tenant: string; readonly deviceTopic: string }
): CertificateRecord {
  return {
    claim: (registration, caKeyId) =>
      withTransaction(database, async (connection) => {
        const serial = newSerial().toString('hex').toUpperCase()
        const now = new Date()
        const [claimed] = await connection.query<ResultSetHeader>(
          `UPDATE registrations SET claimed_by = ?, claimed_until = ?
           WHERE id = ? AND used_at IS NULL AND (claimed_until IS NULL OR claimed_until < ?)`,
          [serial, utcNow(new Date(now.getTime() + claimMs)), registration.id, utcNow(now)]
        )
        if (claimed.affectedRows !== 1) {
          throw new AppError('conflict', 'Another enrolment with this secret is on its way. Try again in a moment.')
        }
        await connection.query(
          `INSERT INTO certificates (serial, ca_key_id, registration_id, state, created_at)
           VALUES (?, ?, ?, 'reserved', ?)`,
          [serial, caKeyId, registration.id, utcNow(now)]
        )
        return serial
      }),
    complete: (registration, serial, certificate) =>
      withTransaction(database, async (connection) => {
        const { id, deviceName } = registration
        const now = utcNow()
        const [used] = await connection.query<ResultSetHeader>(
          'UPDATE registrations SET used_at = ? WHERE id = ? AND used_at IS NULL AND claimed_by = ?',
          [now, id, serial]
        )
        if (used.affectedRows !== 1) throw new AppError('conflict', 'The registration was used or replaced meanwhile.')
        const device = randomUUID()
        await connection.query(
          'INSERT INTO devices (id, tenant, name, registration_id, created_at) VALUES (?, ?, ?, ?, ?)',
          [device, tenant, deviceName, id, now]
        )
        const { validFromDate, validToDate, raw } = certificate
        await connection.query(
          `UPDATE certificates SET state = 'issued', device_id = ?, certificate = ?, not_before = ?, not_after = ?
           WHERE serial = ?`,
          [device, raw, utcNow(validFromDate), utcNow(validToDate), serial]
        )
        const notAfter = validToDate.toISOString()
        const payload = { device: deviceName, tenant, serial, notAfter, registration: id }
        await connection.query(
          `INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at)
           VALUES (?, ?, ?, 'device.enrolled', ?, ?)`,
          [randomUUID(), deviceTopic, deviceName, JSON.stringify(payload), now]
        )
      }),
    // A commit whose answer was lost is a commit: only what is still reserved is discarded.
    giveUp: async (registration, serial) => {
      await Promise.allSettled([
        database.query(`UPDATE certificates SET state = 'discarded' WHERE serial = ? AND state = 'reserved'`, [serial]),
        database.query('UPDATE registrations SET claimed_until = NULL WHERE id = ? AND claimed_by = ?', [
          registration.id,
          serial
        ])
      ])
    },
    issued: async (registration) => {
      const [rows] = await database.query<RowDataPacket[]>(
        `SELECT c.certificate FROM devices d JOIN certificates c ON c.device_id = d.id
         WHERE d.tenant = ? AND d.name = ? AND d.registration_id = ? AND c.state IN ('issued', 'superseded')
         ORDER BY c.created_at LIMIT 1`,
        [tenant, registration.deviceName, registration.id]
      )
      const [row] = rows
      return row === undefined ? null : new X509Certificate(row.certificate as Buffer)
    }
  }
}
