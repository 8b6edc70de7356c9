/**
 * The tenant's CA, as the wizard made it: its certificate, and how long a device's certificate lives. While one key of the CA
 * follows another, devices are told of both, and the newer one issues from its day on.
 */
import { X509Certificate } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'

export interface TenantCa {
  readonly keyId: string
  readonly certificate: X509Certificate
  readonly deviceDays: number
}

export interface Authority {
  /** The one that issues now. @throws AppError service-unavailable before the tenant has a CA */
  readonly ca: () => Promise<TenantCa>
  /** All that a device may meet (RFC 7030 4.1.3): every CA certificate, and how old and new key sign each other. */
  readonly certificates: () => Promise<readonly X509Certificate[]>
}

interface Known {
  readonly at: number
  readonly ca: TenantCa
  readonly certificates: readonly X509Certificate[]
}

/** A successor is met this much later; without a database, what was read last goes on. */
const freshMs = 10_000

export function openAuthority(database: Pool, tenant: string): Authority {
  let known: Known | undefined

  async function read(): Promise<Known> {
    const [rows] = await database.query<RowDataPacket[]>(
      `SELECT key_id, certificate, device_days, (issues_from IS NULL OR issues_from <= ?) AS issues
       FROM certificate_authorities WHERE tenant = ? ORDER BY created_at DESC, key_id`,
      [utcNow(), tenant]
    )
    const row = rows.find(({ issues }) => Number(issues) === 1)
    if (row === undefined) throw new AppError('service-unavailable', `${tenant} has no certificate authority yet.`)
    const [updates] = await database.query<RowDataPacket[]>(
      'SELECT certificate FROM ca_key_updates WHERE tenant = ? ORDER BY subject_key, issuer_key',
      [tenant]
    )
    const certificate = new X509Certificate(row.certificate as Buffer)
    const others = [...rows.filter((one) => one !== row), ...updates]
    return {
      at: performance.now(),
      // The same object as before: what was read from it is kept (lib/x509/issue.ts).
      ca:
        known !== undefined && known.ca.keyId === row.key_id
          ? { ...known.ca, deviceDays: Number(row.device_days) }
          : { keyId: String(row.key_id), certificate, deviceDays: Number(row.device_days) },
      certificates: [certificate, ...others.map((one) => new X509Certificate(one.certificate as Buffer))]
    }
  }

  const look = async () => {
    if (known !== undefined && performance.now() - known.at < freshMs) return known
    const before = known
    try {
      known = await read()
    } catch (thrown) {
      if (before === undefined) throw thrown
      known = { ...before, at: performance.now() }
    }
    return known
  }
  return {
    ca: async () => (await look()).ca,
    certificates: async () => (await look()).certificates
  }
}
