/**
 * From a certificate request to a certificate on record. The serial is stored before anything is signed; certificate,
 * registration, device and the event for others are one transaction, so what a device holds is what the database says
 * and what Kafka will be told (outbox).
 */
import { randomUUID, X509Certificate } from 'node:crypto'
import type { Pool, PoolConnection, ResultSetHeader } from 'mysql2/promise'
import { Counter, type Registry } from 'prom-client'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { type Csr, parseCsr } from '../../lib/x509/csr.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import type { DaeConfig } from '../catalog.ts'
import type { Authority, TenantCa } from './authority.ts'
import type { Registration, Registrations } from './registrations.ts'

export interface Enrolment {
  /** @throws AppError unauthenticated for any credential that is not good now */
  readonly authenticate: (deviceName: string, secret: string) => Promise<Registration>
  /**
   * @param body the request as it came (base64 or PEM)
   * @param tlsUnique what a challengePassword must equal when one is sent (RFC 7030 3.5); null where TLS has none
   * @throws AppError invalid-input for a bad request, conflict when the registration was used meanwhile
   */
  readonly enrol: (registration: Registration, body: string, tlsUnique: string | null) => Promise<X509Certificate>
}

export interface EnrolmentParts {
  readonly config: Pick<DaeConfig, 'tenant' | 'deviceTopic'>
  readonly database: Pool
  readonly kms: Pick<KmsClient, 'issueDeviceCertificate'>
  readonly authority: Authority
  readonly registrations: Registrations
  readonly metrics: Registry
}

export function openEnrolment(parts: EnrolmentParts): Enrolment {
  const { database, kms, authority, registrations } = parts
  const enrolled = new Counter({
    name: 'dae_enrolments_total',
    help: 'Enrolments by outcome',
    labelNames: ['outcome'],
    registers: [parts.metrics]
  })

  return {
    authenticate: async (deviceName, secret) => {
      const registration = await registrations.authenticate(deviceName, secret)
      if (registration !== null) return registration
      enrolled.inc({ outcome: 'refused' })
      throw new AppError('unauthenticated', 'Device name or enrolment secret is not valid.')
    },
    enrol: async (registration, body, tlsUnique) => {
      refuseUnlessAcceptable(parseCsr(body), registration.deviceName, tlsUnique)
      const ca = await authority.ca()
      const serial = await reserveSerial(database, ca, registration)
      const pem = await kms.issueDeviceCertificate(ca.keyId, {
        csr: body,
        commonName: registration.deviceName,
        serial,
        days: ca.deviceDays
      })
      const certificate = new X509Certificate(pem)
      try {
        await withTransaction(database, (connection) =>
          record(connection, parts.config, registration, serial, certificate)
        )
      } catch (thrown) {
        await database.query(`UPDATE certificates SET state = 'discarded' WHERE serial = ?`, [serial]).catch(() => {})
        throw thrown
      }
      enrolled.inc({ outcome: 'enrolled' })
      return certificate
    }
  }
}

/** Proof of possession, and nothing asked for under another name. @throws AppError invalid-input */
function refuseUnlessAcceptable(csr: Csr, deviceName: string, tlsUnique: string | null): void {
  if (!csr.verify()) throw new AppError('invalid-input', 'The certificate request is not signed by its own key.')
  const names = csr.subject.filter(({ type }) => type === 'CN').map(({ value }) => value)
  if (names.some((name) => name !== deviceName)) {
    throw new AppError('invalid-input', `The request asks for another name than ${deviceName}.`)
  }
  if (csr.challengePassword !== null && csr.challengePassword !== tlsUnique) {
    throw new AppError('invalid-input', 'The challengePassword does not match this TLS connection (RFC 7030 3.5).')
  }
}

async function reserveSerial(database: Pool, ca: TenantCa, registration: Registration): Promise<string> {
  const serial = newSerial().toString('hex').toUpperCase()
  await database.query(
    `INSERT INTO certificates (serial, ca_key_id, registration_id, state, created_at) VALUES (?, ?, ?, 'reserved', ?)`,
    [serial, ca.keyId, registration.id, utcNow()]
  )
  return serial
}

async function record(
  connection: PoolConnection,
  { tenant, deviceTopic }: EnrolmentParts['config'],
  registration: Registration,
  serial: string,
  certificate: X509Certificate
): Promise<void> {
  const now = utcNow()
  const [used] = await connection.query<ResultSetHeader>(
    'UPDATE registrations SET used_at = ? WHERE id = ? AND used_at IS NULL',
    [now, registration.id]
  )
  if (used.affectedRows !== 1) throw new AppError('conflict', 'The registration was used meanwhile.')
  const device = randomUUID()
  await connection.query('INSERT INTO devices (id, tenant, name, registration_id, created_at) VALUES (?, ?, ?, ?, ?)', [
    device,
    tenant,
    registration.deviceName,
    registration.id,
    now
  ])
  await connection.query(
    `UPDATE certificates SET state = 'issued', device_id = ?, certificate = ?, not_before = ?, not_after = ? WHERE serial = ?`,
    [device, certificate.raw, utcNow(certificate.validFromDate), utcNow(certificate.validToDate), serial]
  )
  const payload = {
    device: registration.deviceName,
    tenant,
    serial,
    notAfter: certificate.validToDate.toISOString(),
    registration: registration.id
  }
  await connection.query(
    `INSERT INTO outbox (event_id, topic, event_key, type, payload, created_at) VALUES (?, ?, ?, 'device.enrolled', ?, ?)`,
    [randomUUID(), deviceTopic, registration.deviceName, JSON.stringify(payload), now]
  )
}
