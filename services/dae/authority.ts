/** The tenant's CA, as the wizard made it: its certificate, and how long a device's certificate lives. */
import { X509Certificate } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { AppError } from '../../lib/errors/app-error.ts'

export interface TenantCa {
  readonly keyId: string
  readonly certificate: X509Certificate
  readonly deviceDays: number
}

export interface Authority {
  /** @throws AppError service-unavailable before the tenant has a CA */
  readonly ca: () => Promise<TenantCa>
}

export function openAuthority(database: Pool, tenant: string): Authority {
  let known: TenantCa | undefined
  return {
    ca: async () => {
      if (known !== undefined) return known
      const [rows] = await database.query<RowDataPacket[]>(
        'SELECT key_id, certificate, device_days FROM certificate_authorities WHERE tenant = ? ORDER BY created_at LIMIT 1',
        [tenant]
      )
      const [row] = rows
      if (row === undefined) throw new AppError('service-unavailable', `${tenant} has no certificate authority yet.`)
      known = {
        keyId: String(row.key_id),
        certificate: new X509Certificate(row.certificate as Buffer),
        deviceDays: Number(row.device_days)
      }
      return known
    }
  }
}
