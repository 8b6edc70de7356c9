/** Which service may do what on which table; nothing else. A new table stands here, or only the setup account sees it. */
import type { ServiceName } from '../../../services/catalog.ts'

type Right = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE'

const read = ['SELECT'] as const
const append = ['INSERT'] as const
const keep = ['SELECT', 'INSERT', 'UPDATE'] as const
const own = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const

export const serviceRights: Readonly<Record<ServiceName, Readonly<Record<string, readonly Right[]>>>> = {
  kms: {
    kms_keys: keep,
    key_rotations: keep,
    // Rotation wraps them anew; who needs a data key makes its row.
    data_keys: ['SELECT', 'UPDATE'],
    // Written and read, never changed: what is in the audit stays.
    kms_audit: ['SELECT', 'INSERT']
  },
  dae: {
    registrations: own,
    devices: keep,
    certificates: keep,
    outbox: append,
    certificate_authorities: read,
    ca_key_updates: read,
    licenses: read,
    tenants: read,
    data_keys: ['SELECT', 'INSERT']
  },
  mqs: {
    outbox: keep,
    relay_lease: keep
  },
  cp: {
    sessions: own,
    login_attempts: ['SELECT', 'INSERT', 'DELETE'],
    administrators: read,
    tenants: read,
    devices: read,
    certificates: read,
    registrations: read,
    certificate_authorities: read,
    licenses: read,
    outbox: read,
    participants: read,
    data_keys: read
  }
}
