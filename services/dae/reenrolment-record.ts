/**
 * What is on record of a device that exchanges its certificate: who it is by the certificate that it shows, one exchange at a
 * time, and the newer certificate in the place of the older in the same transaction as its event.
 */
import { randomUUID, X509Certificate } from 'node:crypto'
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import { claimMs } from './certificate-record.ts'

/** A device, by the certificate that it has. */
export interface KnownDevice {
  readonly id: string
  readonly name: string
  readonly registration: string
  readonly serial: string
  readonly certificate: X509Certificate
  /** The one that has taken its place; null: it is the newest. */
  readonly newer: X509Certificate | null
}

export interface ReenrolmentRecord {
  /** Null when this very certificate was never issued here. */
  readonly find: (shown: X509Certificate) => Promise<KnownDevice | null>
  /** @returns the serial to sign with. @throws AppError conflict while another exchange of this device is on its way or when it won */
  readonly claim: (device: KnownDevice, caKeyId: string) => Promise<string>
  /** @throws AppError conflict when the older one was exchanged meanwhile */
  readonly complete: (device: KnownDevice, serial: string, certificate: X509Certificate) => Promise<void>
  /** After a failure; changes nothing that was completed. Never throws. */
  readonly giveUp: (device: KnownDevice, serial: string) => Promise<void>
}

export function openReenrolmentRecord(
  database: Pool,
  { tenant, deviceTopic }: { readonly tenant: string; readonly deviceTopic: string }
): ReenrolmentRecord {
  return {
    find: async (shown) => {
      const [rows] = await database.query<RowDataPacket[]>(
        `SELECT d.id, d.name, d.registration_id, c.state, c.certificate, n.certificate AS newer
         FROM certificates c JOIN devices d ON d.id = c.device_id AND d.tenant = ?
         LEFT JOIN certificates n ON n.device_id = d.id AND n.state = 'issued'
         WHERE c.serial = ? AND c.state IN ('issued', 'superseded')`,
        [tenant, shown.serialNumber]
      )
      const [row] = rows
      // By all of its bytes: a number is no proof of who issued it.
      if (row === undefined || !shown.raw.equals(row.certificate as Buffer)) return null
      return {
        id: String(row.id),
        name: String(row.name),
        registration: String(row.registration_id),
        serial: shown.serialNumber,
        certificate: shown,
        newer: row.state === 'issued' || row.newer === null ? null : new X509Certificate(row.newer as Buffer)
      }
    },
    claim: (device, caKeyId) =>
      withTransaction(database, async (connection) => {
        const serial = newSerial().toString('hex').toUpperCase()
        const now = new Date()
        // A claim whose certificate is no longer reserved is over, whatever its time. The device was found before: whoever
        // was faster since then has superseded its certificate, and nothing may be signed for it any more.
        const [claimed] = await connection.query<ResultSetHeader>(
          `UPDATE registrations SET claimed_by = ?, claimed_until = ?
           WHERE id = ? AND EXISTS (SELECT 1 FROM certificates o WHERE o.serial = ? AND o.state = 'issued')
           AND (claimed_until IS NULL OR claimed_until < ? OR NOT EXISTS
             (SELECT 1 FROM certificates c WHERE c.serial = registrations.claimed_by AND c.state = 'reserved'))`,
          [serial, utcNow(new Date(now.getTime() + claimMs)), device.registration, device.serial, utcNow(now)]
        )
        if (claimed.affectedRows !== 1) {
          throw new AppError(
            'conflict',
            'Another exchange of this certificate is on its way, or has just ended. Try again in a moment.'
          )
        }
        await connection.query(
          `INSERT INTO certificates (serial, ca_key_id, registration_id, device_id, state, created_at)
           VALUES (?, ?, ?, ?, 'reserved', ?)`,
          [serial, caKeyId, device.registration, device.id, utcNow(now)]
        )
        return serial
      }),
    complete: (device, serial, certificate) =>
      withTransaction(database, async (connection) => {
        const [older] = await connection.query<ResultSetHeader>(
          `UPDATE certificates SET state = 'superseded' WHERE serial = ? AND state = 'issued'`,
          [device.serial]
        )
        const { validFromDate, validToDate, raw } = certificate
        const [newer] = await connection.query<ResultSetHeader>(
          `UPDATE certificates SET state = 'issued', certificate = ?, not_before = ?, not_after = ?
           WHERE serial = ? AND state = 'reserved'`,
          [raw, utcNow(validFromDate), utcNow(validToDate), serial]
        )
        if (older.affectedRows !== 1 || newer.affectedRows !== 1) {
          throw new AppError('conflict', 'The certificate was exchanged meanwhile. Try again in a moment.')
        }
        const notAfter = validToDate.toISOString()
        const payload = { device: device.name, tenant, serial, notAfter, replaces: device.serial }
        await connection.query(
          `INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at)
           VALUES (?, ?, ?, 'device.reenrolled', ?, ?)`,
          [randomUUID(), deviceTopic, device.name, JSON.stringify(payload), utcNow()]
        )
      }),
    giveUp: async (device, serial) => {
      await Promise.allSettled([
        database.query(`UPDATE certificates SET state = 'discarded' WHERE serial = ? AND state = 'reserved'`, [serial]),
        database.query('UPDATE registrations SET claimed_until = NULL WHERE id = ? AND claimed_by = ?', [
          device.registration,
          serial
        ])
      ])
    }
  }
}
